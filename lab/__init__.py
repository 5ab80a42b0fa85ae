"""Test bench: private Open vSwitch, network namespaces as workloads, the controller as a process."""
