"""Test bench: a private Open vSwitch, network namespaces as workloads, the controller as a process."""
