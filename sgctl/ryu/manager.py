"""The `ryu-manager` command: Ryu's own command with repairs, sgctl's options and local defaults."""

from __future__ import annotations

import gc
import os
import resource
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sgctl.optimizations import is_on, problem
from sgctl.ryu import repair as ryu_repair
from sgctl.settings import SETTINGS


class Default(NamedTuple):
    """Our default of one of Ryu's own options."""

    option: str
    value: str | int
    help: str


LOCAL_DEFAULTS = (
    Default("ofp-listen-host", "127.0.0.1", "openflow listen host"),
    Default("ofp-tcp-listen-port", 6653, "openflow tcp listen port"),
    Default("ofp-ssl-listen-port", 6653, "openflow ssl listen port"),
    Default("wsapi-host", "127.0.0.1", "webapp listen host"),
    Default("wsapi-port", 9696, "webapp listen port"),
)
"""By default Ryu listens on all addresses, where anybody could pose as a switch. Ours listens locally.

6653 is OpenFlow's registered port (by default Ryu also listens on the old 6633), 9696 is Neutron's.
"""


COLLECTOR_THRESHOLDS = (100_000, 20, 100)
"""The thresholds of the garbage collector's three generations (gc.set_threshold).

A large policy is millions of objects without reference cycles. With the default thresholds the collector
searches all of them for cycles again and again: this takes two thirds of the time of a first compilation and
blocks the process for seconds. Flows and policy objects are freed by reference counting.
"""


THRESHOLDS_OF_API = (1_000, 5, 2_000)
"""The same for the API's process. An answer is thousands of objects for a moment, and the collector searches
those that it has not searched yet: 1,000 take a millisecond, 100,000 keep all requests waiting for 100 ms."""


def register_options(conf: Any, environ: Mapping[str, str] = os.environ) -> None:
    """Add `SETTINGS` to Ryu's configuration `conf` and replace Ryu's defaults with `LOCAL_DEFAULTS`."""
    from oslo_config import cfg

    for setting in SETTINGS:
        default = setting.default(environ)
        conf.register_cli_opt(cfg.StrOpt(setting.option, default=default, help=setting.help))
    for option, value, text in LOCAL_DEFAULTS:
        kind = cfg.IntOpt if isinstance(value, int) else cfg.StrOpt
        # Registered again, because set_default would leave Ryu's defaults in the --help text.
        conf.unregister_opt(kind(option))
        conf.register_cli_opt(kind(option, default=value, help=f"{text} (default {value})"))


def collect_rarely() -> None:
    """Set the collector's thresholds for this process."""
    if is_on("collector"):
        gc.set_threshold(*COLLECTOR_THRESHOLDS)


def collect_in_steps() -> None:
    """Collect what there is now, exclude the rest from all searches, and set the thresholds of the API."""
    if is_on("collector"):
        gc.collect()
        gc.freeze()
        gc.set_threshold(*THRESHOLDS_OF_API)


def raise_file_limit() -> None:
    """Raise the limit of open files to the system's maximum: each connection is a file, and 1,024 are few."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run Ryu's manager with the command line `arguments` (default: the process's own)."""
    if found := problem():
        raise SystemExit(f"ryu-manager: {found}")
    collect_rarely()
    raise_file_limit()
    command_line = list(sys.argv[1:] if arguments is None else arguments)
    ryu_repair.prepare(threads="--enable-debugger" not in command_line)
    ryu_repair.repair_imports()
    from ryu.cmd import manager

    register_options(manager.CONF)
    ryu_repair.format_log()
    ryu_repair.listen_alone()
    ryu_repair.interrupt_cleanly()
    manager.main(args=command_line, prog="ryu-manager")


if __name__ == "__main__":
    main()
