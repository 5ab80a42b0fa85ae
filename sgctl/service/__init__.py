"""What a user can do to the policy, for command line and REST API alike: checked plans and their commit."""
