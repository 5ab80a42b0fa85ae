"""The attributes of the policy's objects, each declared once (docs/decisions/declared-attributes.md)."""
