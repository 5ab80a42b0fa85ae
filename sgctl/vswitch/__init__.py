"""This host's switch database (Open_vSwitch): bridges, interfaces and their declarations."""
