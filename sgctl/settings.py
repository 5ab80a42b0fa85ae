"""The settings of the controller and the command line, in one table.

This module does not import Ryu, because the command line never loads it. `sgctl.ryu.manager` turns the table
into command line options.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MOST_CONNECTIONS = 0x7FFFFFFF
"""The highest connection limit of a network that Open vSwitch accepts."""
NO_LIMIT = 1 << 24
"""Kilobits, or fragments, per second that stand for "no limit": 16 Gbit/s, more than any port sends."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: the option `--NAME`, `NAME` in ryu.conf and the environment variable in capitals.

    Options have `-` where names have `_`.
    """

    name: str
    fallback: str
    help: str

    @property
    def environment(self) -> str:
        """The environment variable that gives the default."""
        return self.name.upper()

    @property
    def option(self) -> str:
        """The command line option, without its dashes."""
        return self.name.replace("_", "-")

    def default(self, environ: Mapping[str, str]) -> str:
        """The value when neither the command line nor ryu.conf gives one.

        An empty environment variable counts as unset.
        """
        return environ.get(self.environment) or self.fallback.format(
            ovs_rundir=environ.get("OVS_RUNDIR") or "/var/run/openvswitch"
        )


SETTINGS = (
    Setting(
        "sgctl_db",
        "",
        "OVSDB remote of the policy database (default: a private ovsdb-server that listens on policy.sock in "
        "the run directory and stores policy.db in the state directory)",
    ),
    Setting("sgctl_ovsdb", "unix:{ovs_rundir}/db.sock", "OVSDB remote of the local Open_vSwitch database"),
    Setting("sgctl_state_dir", "/var/lib/sgctl", "directory for the file of the private policy database"),
    Setting("sgctl_run_dir", "/var/run/sgctl", "directory for the socket of the private policy database"),
    Setting(
        "sgctl_check_interval",
        "60",
        "seconds without changes after which a switch's flows are compared with the expected flows; 0: "
        "compare only when the switch connects",
    ),
    Setting("sgctl_project", "", "the project for which the command line acts (default: none)"),
    Setting(
        "sgctl_control_rate",
        "128",
        "kilobits per second of control traffic that needs no rule (ARP, neighbour discovery, DHCP requests "
        "and the like) that one port may send; 0 is no limit",
    ),
    Setting("sgctl_control_burst", "512", "kilobits of such control traffic that one port may send at once"),
    Setting(
        "sgctl_fragment_rate",
        "15",
        "fragments per second that one port may send, and get from outside; three times as many for all of a "
        "network; 0 is no limit",
    ),
    Setting("sgctl_fragment_burst", "400", "fragments that one port may send and get at once"),
    Setting(
        "sgctl_connections",
        "",
        "connections that a network may have on a bridge, unless the network has a connection_limit; 0 is no "
        "limit (default: with several networks, an equal share of the connection tracker's capacity)",
    ),
    Setting(
        "sgctl_openflow_peers",
        "",
        "addresses and networks, separated by commas, from which switches may connect without TLS (default: "
        "none; the switch of this machine may always connect)",
    ),
    Setting(
        "sgctl_openflow_names",
        "",
        "certificate names, separated by commas, that switches of other machines may present (default: the "
        "host's name in the switch database)",
    ),
    Setting(
        "sgctl_api_tokens",
        "",
        "file with the tokens that the API accepts (default: none, which is allowed on a loopback address "
        "only)",
    ),
    Setting(
        "sgctl_api_users",
        "",
        "users of this machine, separated by commas, who need no token, in addition to root and the group "
        "sgctl; * for all (default: none)",
    ),
    Setting("sgctl_api_certificate", "", "PEM file with the API's TLS certificate (default: no TLS)"),
    Setting("sgctl_api_key", "", "PEM file with the certificate's key (default: the certificate's file)"),
    Setting("sgctl_api_client_ca", "", "PEM file with the CA certificates that sign client certificates"),
    Setting("sgctl_api_rate", "500", "API requests per second that one client may make; 0 is no limit"),
    Setting(
        "sgctl_api_quota",
        "",
        "limits of each project, such as port=500,security_group=-1; -1 is no limit (default with tokens: "
        "100 networks, subnets, security groups, address groups, 500 ports, 1000 rules, 10000 addresses in "
        "address groups; default else: none)",
    ),
)


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The settings of the REST API. `rate` is in requests per second; `quota`, `users` are unparsed text."""

    tokens: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    rate: float = 0.0
    quota: str = ""
    users: str = ""

    @classmethod
    def from_values(cls, values: Mapping[str, str]) -> ApiSettings:
        """Take the values of all `SETTINGS` by name. Raises ValueError."""
        rate = values["sgctl_api_rate"]
        if not (rate.isascii() and rate.isdigit()):
            raise ValueError(f"sgctl_api_rate: {rate!r} is no number of requests per second")
        return cls(
            tokens=_path(values["sgctl_api_tokens"]),
            certificate=_path(values["sgctl_api_certificate"]),
            key=_path(values["sgctl_api_key"]),
            client_ca=_path(values["sgctl_api_client_ca"]),
            rate=float(rate),
            quota=values["sgctl_api_quota"],
            users=values["sgctl_api_users"],
        )


def _path(text: str) -> Path | None:
    return Path(text) if text else None


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in use. `db` is empty when the controller runs the policy database's server itself."""

    db: str
    ovsdb: str
    state_dir: Path
    run_dir: Path
    check_interval: str
    openflow_peers: str = ""
    openflow_names: frozenset[str] = frozenset()
    project: str = ""
    control_rate: str = "0"
    control_burst: str = "0"
    fragment_rate: str = "0"
    fragment_burst: str = "0"
    connections: str = ""

    @classmethod
    def from_values(cls, values: Mapping[str, str]) -> Settings:
        """Take the values of all `SETTINGS` by name, as oslo.config's ConfigOpts holds them."""
        return cls(
            db=values["sgctl_db"],
            ovsdb=values["sgctl_ovsdb"],
            state_dir=Path(values["sgctl_state_dir"]),
            run_dir=Path(values["sgctl_run_dir"]),
            check_interval=values["sgctl_check_interval"],
            openflow_peers=values["sgctl_openflow_peers"],
            project=values["sgctl_project"],
            openflow_names=frozenset(filter(None, map(str.strip, values["sgctl_openflow_names"].split(",")))),
            control_rate=values["sgctl_control_rate"],
            control_burst=values["sgctl_control_burst"],
            fragment_rate=values["sgctl_fragment_rate"],
            fragment_burst=values["sgctl_fragment_burst"],
            connections=values["sgctl_connections"],
        )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """The settings without a command line and ryu.conf."""
        return cls.from_values({setting.name: setting.default(environ) for setting in SETTINGS})

    @property
    def policy_remote(self) -> str:
        """The OVSDB remote of the policy database."""
        return self.db or f"unix:{self.policy_socket}"

    @property
    def policy_socket(self) -> Path:
        """The private policy database's socket."""
        return self.run_dir / "policy.sock"

    @property
    def policy_file(self) -> Path:
        """The private policy database's file."""
        return self.state_dir / "policy.db"

    @property
    def control_budget(self) -> tuple[int, int]:
        """Control traffic per port: rate (kilobits per second) and burst (kilobits). Raises ValueError."""
        return self._budget("control", "kilobits")

    @property
    def fragment_budget(self) -> tuple[int, int]:
        """Fragments per port: rate (per second) and burst. Raises ValueError."""
        return self._budget("fragment", "fragments")

    def _budget(self, kind: str, unit: str) -> tuple[int, int]:
        rate, burst = (getattr(self, f"{kind}_{part}") for part in ("rate", "burst"))
        for part, text in (("rate", rate), ("burst", burst)):
            if not (text.isascii() and text.isdigit() and int(text) <= NO_LIMIT):
                raise ValueError(f"sgctl-{kind}-{part}: {text!r} is no number of {unit} from 0 to {NO_LIMIT}")
        return (int(rate), int(burst)) if int(rate) else (NO_LIMIT, NO_LIMIT)

    @property
    def connections_of_network(self) -> int | None:
        """The connection limit of a network without its own: 0 is no limit, None an equal share.

        Raises ValueError.
        """
        text = self.connections
        if text and not (text.isascii() and text.isdigit() and int(text) <= MOST_CONNECTIONS):
            raise ValueError(f"sgctl-connections: {text!r} is no number from 0 to {MOST_CONNECTIONS}")
        return int(text) if text else None

    @property
    def check_seconds(self) -> float | None:
        """Seconds without changes before a switch's flows are checked; None is never. Raises ValueError."""
        try:
            seconds = float(self.check_interval)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"sgctl-check-interval: {self.check_interval!r} is no number of seconds")
        return seconds or None
