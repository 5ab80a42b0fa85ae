"""The controller: keeps every connected switch in step with the policy and with what is attached."""
