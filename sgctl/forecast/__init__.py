"""Computes what a change of the policy would do before it is applied. Nothing here writes anything."""
