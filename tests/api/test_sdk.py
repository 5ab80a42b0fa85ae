"""openstacksdk with so many objects that lists have pages and the number of requests matters."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from lab.controller import Controller
from tests.api.client import OPENSTACK, Client, client_environment


def test_a_thousand_ports_in_a_hundred_groups(openstack_client: None, alone: Controller) -> None:
    api = Client(alone.wsapi_port)
    before = api.everything()
    script = Path(__file__).with_name("sdk_load.py")
    done = subprocess.run(
        [OPENSTACK / "python", script, f"http://127.0.0.1:{api.port}"],
        env=client_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    report = json.loads(done.stdout)
    counts = {name: report[name] for name in ("ports", "addresses", "macs", "groups")}
    assert counts == {"ports": 1000, "addresses": 1000, "macs": 1000, "groups": 100}
    after = api.everything()
    assert {path: len(items) for path, items in after.items()} == {
        path: len(items) for path, items in before.items()
    }
