"""What a change of the policy would do, worked out before it is made. Nothing here writes anything."""
