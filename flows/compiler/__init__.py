"""The compiler of one bridge: turns policy, bound ports and uplinks into flows."""
