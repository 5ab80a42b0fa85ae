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

ENDING = {signal.SIGINT, signal.SIGTERM}


def main() -> None:
    """Run until the controller ends, and exit as it did."""
    ovs = OvsServers(
        Path(os.environ.get("OVS_RUNDIR", "/var/run/openvswitch")),
        Path(os.environ.get("OVS_DBDIR", "/etc/openvswitch")) / "conf.db",
        env=ALLOCATOR,
    )
    try:
        started = start_missing(ovs)
        code = run_controller(sys.argv[1:], stays=started)
    except (LabError, OSError) as error:
        sys.exit(f"{Path(__file__).name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        ovs.stop()
    sys.exit(code)


def start_missing(ovs: OvsServers) -> bool:
    """Start the database server and the switch, where they do not answer; whether one was started."""
    ovs.rundir.mkdir(parents=True, exist_ok=True)
    parts = (
        ("ovsdb-server", ovs.database_runs, ovs.start_database),
        ("ovs-vswitchd", ovs.switch_runs, ovs.start_switch),
    )
    started = False
    for name, runs, start in parts:
        if runs():
            print(f"{name} runs already{_process(ovs.rundir / f'{name}.pid')}", file=sys.stderr)
        else:
            print(f"starting {name}", file=sys.stderr)
            start()
            started = True
    return started


def _process(pid_file: Path) -> str:
    try:
        return f" (process {int(pid_file.read_text())})"
    except (OSError, ValueError):
        return ""


def run_controller(options: list[str], stays: bool) -> int:
    """Run `ryu-manager sgctl`; its exit code. Ctrl-C reaches it by itself, SIGTERM is passed on.

    Where Open vSwitch was started here, a controller that somebody else has ended does not take it along: it
    enforces what it has. With `stays`, wait for Ctrl-C or SIGTERM then. A controller that fails has said why.
    """
    ends_with_us = ["setpriv", "--pdeathsig", "TERM", "--"]
    controller = subprocess.Popen([*ends_with_us, RYU_MANAGER, "sgctl", *options])
    asked = False

    def end(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        if number == signal.SIGTERM:
            controller.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    code = controller.wait()
    if stays and code <= 0 and not asked:
        how = f"was killed by signal {-code}" if code else "has ended"
        print(
            f"the controller {how}; Open vSwitch goes on with the flows that it has, until Ctrl-C. "
            "Run this in another terminal for a new controller.",
            file=sys.stderr,
        )
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        if not asked:
            signal.sigwait(ENDING)
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    main()
