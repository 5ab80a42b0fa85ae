"""OpenFlow 1.4 with Open vSwitch's extensions: fields, actions, flows, tables and wire formats."""
