"""Runs Open vSwitch's own tools on a switch of this host.

Sources: ovs-ofctl(8), ovs-appctl(8), ovs-vswitchd(8).
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from sgctl.explain.expected import Unexplained

_SECONDS = 60
_METER = re.compile(r"^meter:(\d+) .*\n0: packet_count:(\d+)", re.MULTILINE)
_PCAP_HEADER = struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 0xFFFF, 1)
"""The header of a file of Ethernet frames (pcap-savefile(5))."""
_NAMES = {
    "icmp6": ("icmp_", "icmpv6_"),
    **dict.fromkeys(("udp", "udp6"), ("tp_", "udp_")),
    **dict.fromkeys(("sctp", "sctp6"), ("tp_", "sctp_")),
}
_UNREAD = "in_port=", "vlan_tci1=", "dl_vlan1=", "dl_vlan_pcp1=", "mpls_lse"
_UNREAD_IN = {
    "icmp_type=135": "nd_tll=",
    "icmp_type=136": "nd_sll=",
    "nw_proto=2": "tp_",
    "dl_type=0x894f": "nw_",
}
"""Fields of solicitations, of advertisements, of IGMP and of network service headers."""
_ERROR_FOLLOWS = "server returned an error"
"""The line that `ovs-appctl` adds to the error text of the switch."""
_DIFFERENT = 2
"""Exit status of `ovs-ofctl diff-flows` when it found differences."""


class SwitchTools:
    """Runs `ovs-ofctl` and `ovs-appctl` on the switch whose sockets are in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @classmethod
    def beside(cls, ovsdb: str, environ: Mapping[str, str] = os.environ) -> SwitchTools:
        """The switch whose database is at this remote: its sockets are in the same directory.

        A remote over the network names no directory; then OVS_RUNDIR does.
        """
        kind, _, path = ovsdb.partition(":")
        if kind == "unix" and path:
            return cls(Path(path).parent)
        return cls(Path(environ.get("OVS_RUNDIR") or "/var/run/openvswitch"))

    def flows(self, bridge: str) -> list[str]:
        """One line for each flow, with counters."""
        lines = self._ofctl("--no-names", "dump-flows", self._bridge(bridge)).splitlines()
        return [line for line in lines if line.startswith(" ")]  # the other lines are headings

    def metered(self, bridge: str) -> dict[int, int]:
        """How many packets each meter has dropped, by meter number."""
        text = self._ofctl("meter-stats", self._bridge(bridge))
        return {int(number): int(dropped) for number, dropped in _METER.findall(text)}

    def differences(self, bridge: str, expected: Iterable[str]) -> list[str]:
        """Lines of `ovs-ofctl diff-flows`: `-` flows only on the switch, `+` flows only in `expected`."""
        with _file(expected) as file:
            arguments = "--no-names", "diff-flows", self._bridge(bridge), file.name
            return self._ofctl(*arguments, accept=(0, _DIFFERENT)).splitlines()

    def change(self, bridge: str, edits: Iterable[str]) -> None:
        """Make all edits (`add FLOW`, `delete_strict FLOW`) at once, or none of them."""
        with _file(edits) as file:
            self._ofctl("--bundle", "add-flows", self._bridge(bridge), file.name)

    def fields(self, frame: bytes) -> str:
        """The frame's fields in flow syntax, without in_port.

        A trace gets the fields instead of the frame: from the bytes of a traced frame the switch would learn
        as from a real frame (ovs-vswitchd(8), ofproto/trace).
        """
        with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
            file.write(_PCAP_HEADER + struct.pack("=4I", 0, 0, len(frame), len(frame)) + frame)
            file.flush()
            text = self._ofctl("parse-pcap", file.name)
        return _readable(text.strip().split(","))

    def trace(self, bridge: str, flow: str, tracked: str) -> str:
        """Trace a packet through the bridge; `tracked` is the ct_state that the tracker reports."""
        states = ["--ct-next", tracked] * 2
        environment = {**os.environ, "OVS_RUNDIR": str(self._directory)}
        command = ["ovs-appctl", "--timeout=20", "ofproto/trace", "--names", bridge, flow, *states]
        return _run(command, (0,), environment)

    def connections(self) -> list[str]:
        """One line for each connection that the switch tracks, on all bridges."""
        environment = {**os.environ, "OVS_RUNDIR": str(self._directory)}
        command = ["ovs-appctl", f"--timeout={_SECONDS}", "dpctl/dump-conntrack"]
        return _run(command, (0,), environment).splitlines()

    def _bridge(self, name: str) -> str:
        return f"unix:{self._directory / name}.mgmt"

    def _ofctl(self, *arguments: str, accept: tuple[int, ...] = (0,)) -> str:
        return _run(["ovs-ofctl", f"--timeout={_SECONDS}", "-O", "OpenFlow14", *arguments], accept)


def _readable(terms: list[str]) -> str:
    """A flow that Open vSwitch printed, without in_port, in the syntax that Open vSwitch accepts.

    Open vSwitch prints some fields under names that it parses as the field of IPv4 or TCP. It also prints
    fields that it does not accept for such packets; no flow can match those, so they are left out.
    """
    kind = terms[0]
    unread = *_UNREAD, *(fields for mark, fields in _UNREAD_IN.items() if mark in terms)
    flow = ",".join(term for term in terms if not term.startswith(unread))
    return flow.replace(*_NAMES[kind]) if kind in _NAMES else flow


def _file(lines: Iterable[str]) -> tempfile._TemporaryFileWrapper[str]:
    file = tempfile.NamedTemporaryFile("w", suffix=".flows", encoding="ascii")  # noqa: SIM115 - the caller's
    file.writelines(f"{line}\n" for line in lines)
    file.flush()
    return file


def _run(command: list[str], accept: tuple[int, ...], environment: Mapping[str, str] | None = None) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=2 * _SECONDS, check=False, env=environment
        )
    except OSError as error:
        raise Unexplained(f"cannot run {command[0]}: {error.strerror}; is Open vSwitch installed?") from error
    except subprocess.TimeoutExpired as error:
        raise Unexplained(f"{command[0]} did not end within {2 * _SECONDS} s") from error
    if done.returncode not in accept:
        said = (done.stderr or done.stdout).strip().splitlines()
        lines = [line for line in said if not line.endswith(_ERROR_FOLLOWS)] or said
        raise Unexplained(lines[-1] if lines else f"{command[0]}: exit status {done.returncode}")
    return done.stdout
