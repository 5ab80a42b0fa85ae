"""Security-group policy compiled to Open vSwitch flows: pure functions, no I/O, no clock."""
