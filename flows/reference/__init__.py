"""The reference evaluator: the policy's verdict on one packet, computed without the compiler."""
