"""Talking OpenFlow to a connected switch."""
