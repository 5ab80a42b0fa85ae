"""Where the databases are: one table of settings for the controller and the command line.

Free of Ryu, which the command line never loads; `sgctl.ryu_manager` turns the table into its options.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MOST_CONNECTIONS = 0x7FFFFFFF
"""Of one network, as Open vSwitch counts them."""
NO_LIMIT = 1 << 24
"""Kilobits per second that no port reaches: 16 Gbit/s."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: `--NAME`, `NAME` in ryu.conf and the environment's NAME in capitals, with `_` for `-`."""

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
        """The value when neither command line nor ryu.conf gives one; an empty variable counts as unset."""
        return environ.get(self.environment) or self.fallback.format(
            ovs_rundir=environ.get("OVS_RUNDIR") or "/var/run/openvswitch"
        )


SETTINGS = (
    Setting(
        "sgctl_db",
        "",
        "OVSDB remote of the policy database (default: a private ovsdb-server on the run directory's "
        "policy.sock, with the state directory's policy.db)",
    ),
    Setting("sgctl_ovsdb", "unix:{ovs_rundir}/db.sock", "OVSDB remote of the local Open_vSwitch database"),
    Setting("sgctl_state_dir", "/var/lib/sgctl", "directory of the private policy database's file"),
    Setting("sgctl_run_dir", "/var/run/sgctl", "directory of the private policy database's socket"),
    Setting(
        "sgctl_check_interval",
        "60",
        "seconds of quiet after which a switch's flows are compared with what is expected; 0: only when it "
        "connects",
    ),
    Setting("sgctl_project", "", "the project for which the command line acts (default: none)"),
    Setting(
        "sgctl_control_rate",
        "128",
        "kilobits per second of what needs no rule (ARP, neighbour discovery, DHCP requests and the like) "
        "that one port may send; 0 is no limit",
    ),
    Setting("sgctl_control_burst", "512", "kilobits of it that one port may send at once"),
    Setting(
        "sgctl_connections",
        "",
        "connections of a network on a bridge, unless its connection_limit says otherwise; 0 is no limit "
        "(default: where there are several networks, an equal share of what the connection tracker holds)",
    ),
    Setting(
        "sgctl_openflow_peers",
        "",
        "addresses and networks, separated by commas, whose switches may connect without TLS (default: none; "
        "this machine's own switch may always)",
    ),
    Setting(
        "sgctl_openflow_names",
        "",
        "names of the certificates that switches of other machines may show, separated by commas (default: "
        "the host's name in the switch database)",
    ),
    Setting(
        "sgctl_api_tokens",
        "",
        "file with the tokens that the API asks for (default: none, which only a loopback address allows)",
    ),
    Setting(
        "sgctl_api_users",
        "",
        "users of this machine, separated by commas, who need no token, besides root and the group sgctl; * "
        "for all (default: none)",
    ),
    Setting("sgctl_api_certificate", "", "PEM file with the API's TLS certificate (default: no TLS)"),
    Setting("sgctl_api_key", "", "PEM file with the certificate's key (default: in the certificate's file)"),
    Setting("sgctl_api_client_ca", "", "PEM file with the authorities of client certificates"),
    Setting("sgctl_api_rate", "500", "API requests per second that one client may make; 0 is no limit"),
    Setting(
        "sgctl_api_quota",
        "",
        "what each project may have, such as port=500,security_group=-1; -1 is no limit (default: with "
        "tokens 100 networks, subnets, security groups, address groups, 500 ports and 1000 rules; else none)",
    ),
)


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The settings of the REST API; `rate` is requests per second; `quota`, `users` as users write them."""

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
    """The settings in force. `db` is empty when the controller is to serve the policy database itself."""

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
            connections=values["sgctl_connections"],
        )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """What holds without command line and ryu.conf."""
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
        """Kilobits per second, and at once, of what one port may send without a rule. Raises ValueError."""
        rate, burst = self.control_rate, self.control_burst
        for name, text in (("sgctl-control-rate", rate), ("sgctl-control-burst", burst)):
            if not (text.isascii() and text.isdigit() and int(text) <= NO_LIMIT):
                raise ValueError(f"{name}: {text!r} is no number of kilobits from 0 to {NO_LIMIT}")
        return (int(rate), int(burst)) if int(rate) else (NO_LIMIT, NO_LIMIT)

    @property
    def connections_of_network(self) -> int | None:
        """The limit of a network that sets none, 0 for none; None for a share. Raises ValueError."""
        text = self.connections
        if text and not (text.isascii() and text.isdigit() and int(text) <= MOST_CONNECTIONS):
            raise ValueError(f"sgctl-connections: {text!r} is no number from 0 to {MOST_CONNECTIONS}")
        return int(text) if text else None

    @property
    def check_seconds(self) -> float | None:
        """Quiet time before a switch is checked; None is never. Raises ValueError for anything else."""
        try:
            seconds = float(self.check_interval)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"sgctl-check-interval: {self.check_interval!r} is no number of seconds")
        return seconds or None
