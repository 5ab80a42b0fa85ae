"""The controller notices when another program changes its flows."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from lab.controller import Controller
from lab.ovs import PrivateOvs
from lab.process import wait_until
from lab.site import Site, group, tcp_in

pytestmark = pytest.mark.switch


@pytest.fixture
def controller(ovs: PrivateOvs) -> Iterator[Controller]:
    with Controller(ovs.remote, options=["--sgctl-check-interval=0.5"]) as running:
        yield running


def test_drift_is_corrected_and_reported(site: Site) -> None:
    site.apply(group("web", tcp_in(80)), site.port_document(1, ["web"]))
    site.plug("br0", 1)
    site.sgctl.wait()
    site.ovs.ofctl("add-flow", "br0", "cookie=0x7,table=70,priority=3,ip,actions=drop")
    site.ovs.ofctl("del-flows", "br0", "table=11")
    site.ovs.ofctl("add-flow", "br0", "cookie=0x5c00000000000001,table=70,priority=60000,ip,actions=output:1")
    line = re.compile(
        r"^\d{4}-\d\d-\d\d [\d:.]{12} WARNING [\w.]+: switch br0 \([0-9a-f]{16}\): \d+ flows .* corrected$",
        re.MULTILINE,
    )
    wait_until(lambda: bool(line.search(site.controller.log.read_text())), "the drift is noticed")
    wait_until(
        lambda: "have been corrected" not in site.sgctl("get", "switches", "-o", "json"),
        "a check without a difference",
    )
    assert site.sgctl("verify") == "br0: as expected\n"
    flows = site.ovs.ofctl("dump-flows", "br0")
    assert "cookie=0x7," in flows
    assert "cookie=0x5c00000000000001" not in flows
