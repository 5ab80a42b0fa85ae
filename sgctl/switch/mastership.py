"""Being a switch's master: two controllers may know a switch, one at a time changes it.

Source: OpenFlow 1.4 section 6.3.6 (multiple controllers), 7.3.9 (role request).
"""

from __future__ import annotations

from typing import Protocol

_GENERATIONS = 1 << 64


class RoleChannel(Protocol):
    """What is asked of a switch."""

    @property
    def dpid(self) -> int:
        """The switch's datapath id."""

    def role_generation(self) -> int:
        """The generation of the newest master there has been."""

    def become_master(self, generation: int) -> None:
        """Be the only one who changes the switch. Raises SwitchRefused when there is a newer master."""


class Mastership:
    """The generations under which this controller has become master, by switch.

    Whoever is put in charge takes the next generation, once. One that was replaced without noticing
    comes with its old one, and the switch refuses it.
    """

    def __init__(self) -> None:
        self._generations: dict[int, int] = {}

    def renew(self) -> None:
        """This controller is put in charge (again): it replaces whoever was."""
        self._generations.clear()

    def claim(self, channel: RoleChannel) -> None:
        """Become master of a switch that has connected."""
        generation = self._generations.get(channel.dpid)
        if generation is None:
            generation = (channel.role_generation() + 1) % _GENERATIONS
        channel.become_master(generation)
        self._generations[channel.dpid] = generation
