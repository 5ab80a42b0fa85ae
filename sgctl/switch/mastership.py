"""Mastership of switches: several controllers may connect to a switch, but only the master may change it.

Source: OpenFlow 1.4 section 6.3.6 (multiple controllers), 7.3.9 (role request).
"""

from __future__ import annotations

from typing import Protocol

_GENERATIONS = 1 << 64


class RoleChannel(Protocol):
    """The requests to a switch that `Mastership` needs."""

    @property
    def dpid(self) -> int:
        """The switch's datapath id."""

    def role_generation(self) -> int:
        """The generation of the newest master so far."""

    def become_master(self, generation: int) -> None:
        """Become the only master of the switch. Raises SwitchRefused when there is a newer master."""


class Mastership:
    """The generations with which this controller has become master, by switch.

    A controller that takes charge uses the next generation, and keeps it. If it has been replaced without
    noticing, it still uses its old generation, and the switch refuses it.
    """

    def __init__(self) -> None:
        self._generations: dict[int, int] = {}

    def renew(self) -> None:
        """Take new generations, because this controller has just taken charge."""
        self._generations.clear()

    def claim(self, channel: RoleChannel) -> None:
        """Become master of a connected switch. Raises SwitchRefused."""
        generation = self._generations.get(channel.dpid)
        if generation is None:
            generation = (channel.role_generation() + 1) % _GENERATIONS
        channel.become_master(generation)
        self._generations[channel.dpid] = generation
