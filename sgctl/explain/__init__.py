"""Why the switch does what it does: its flows with names, against what is expected, packet by packet."""
