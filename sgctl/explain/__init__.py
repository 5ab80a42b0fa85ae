"""Explains what a switch does: shows its flows with names, compares them with the policy, traces packets."""
