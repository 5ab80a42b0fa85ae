"""Manifests, the policy as YAML documents: reading files, and checking each document against its schema."""
