"""The reference evaluator: what the policy says about one packet, worked out without the compiler."""
