"""Runs the controller in the foreground on this machine's Open vSwitch: `run_controller.py [OPTION…]`.

It first starts any Open vSwitch daemon that is not already running, and stops it at the end; daemons that are
already running are left alone. Options are those of ryu-manager.
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
from sgctl.store.server import allocator

ENDING = {signal.SIGINT, signal.SIGTERM}


def main() -> None:
    """Run until the controller ends, and exit with its exit code."""
    ovs = OvsServers(
        Path(os.environ.get("OVS_RUNDIR", "/var/run/openvswitch")),
        Path(os.environ.get("OVS_DBDIR", "/etc/openvswitch")) / "conf.db",
        env=allocator(),
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
    """Start the database server and the switch unless they answer; returns whether one was started."""
    ovs.rundir.mkdir(parents=True, exist_ok=True)
    parts = (
        ("ovsdb-server", ovs.database_runs, ovs.start_database),
        ("ovs-vswitchd", ovs.switch_runs, ovs.start_switch),
    )
    started = False
    for name, runs, start in parts:
        if runs():
            print(f"{name} is already running{_process(ovs.rundir / f'{name}.pid')}", file=sys.stderr)
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
    """Run `ryu-manager sgctl`; its exit code. The terminal sends Ctrl-C to it, SIGTERM is forwarded.

    `stays` means that Open vSwitch was started here. Then, if another process ends the controller, wait for
    Ctrl-C or SIGTERM: Open vSwitch keeps enforcing its flows. A controller that fails has printed why.
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
            f"the controller {how}; Open vSwitch keeps enforcing its flows until Ctrl-C. "
            "To start a new controller, run this command in another terminal.",
            file=sys.stderr,
        )
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        if not asked:
            signal.sigwait(ENDING)
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    main()
