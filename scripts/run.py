"""Runs the controller in the foreground on this machine's Open vSwitch: `scripts/run.py [OPTION…]`.

What is missing of Open vSwitch is started first and stopped at the end; what runs already is left alone.
Options are ryu-manager's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

from lab.controller import RYU_MANAGER
from lab.ovs import OvsServers
from lab.process import LabError
from sgctl.store.server import ALLOCATOR


def main() -> None:
    """Run until the controller ends, and exit as it did."""
    ovs = OvsServers(
        Path(os.environ.get("OVS_RUNDIR", "/var/run/openvswitch")),
        Path(os.environ.get("OVS_DBDIR", "/etc/openvswitch")) / "conf.db",
        env=ALLOCATOR,
    )
    try:
        start_missing(ovs)
        code = run_controller(sys.argv[1:])
    except (LabError, OSError) as error:
        sys.exit(f"{Path(__file__).name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        ovs.stop()
    sys.exit(code)


def start_missing(ovs: OvsServers) -> None:
    """Start the database server and the switch, where they do not answer."""
    ovs.rundir.mkdir(parents=True, exist_ok=True)
    if not ovs.database_runs():
        print("starting ovsdb-server", file=sys.stderr)
        ovs.start_database()
    if not ovs.switch_runs():
        print("starting ovs-vswitchd", file=sys.stderr)
        ovs.start_switch()


def run_controller(options: list[str]) -> int:
    """Run `ryu-manager sgctl`; its exit code. Ctrl-C reaches it by itself, SIGTERM is passed on."""
    ends_with_us = ["setpriv", "--pdeathsig", "TERM", "--"]
    controller = subprocess.Popen([*ends_with_us, RYU_MANAGER, "sgctl", *options])

    def pass_on(number: int, _frame: FrameType | None) -> None:
        controller.send_signal(number)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, pass_on)
    return controller.wait()


if __name__ == "__main__":
    main()
