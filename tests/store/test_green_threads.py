"""Store, private server and switch watcher in a process that eventlet has monkey-patched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lab.ovs import PrivateOvs


def test_nothing_blocks_other_green_threads(tmp_path: Path, dummy_ovs: PrivateOvs) -> None:
    dummy_ovs.add_bridge("br0")
    files = tmp_path / "lib" / "policy.db", tmp_path / "run" / "policy.sock"
    program = [sys.executable, "-m", "tests.store.green", *map(str, files), dummy_ovs.remote]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "ok"), done.stderr
