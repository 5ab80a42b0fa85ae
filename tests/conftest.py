"""Fixtures for all tests, and the rule that tests on a real switch never go missing quietly."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from lab import netns
from lab.datapath import DATAPATH, Datapath
from lab.ovs import PrivateOvs
from lab.workloads import Workloads

settings.register_profile("untimed", deadline=None)
"""How fast an example runs says more about the machine than about the code."""
settings.load_profile("untimed")
settings.register_profile("first", phases=[Phase.explicit, Phase.reuse, Phase.generate])
"""Stops at the first failing example instead of looking for the least: `--hypothesis-profile=first`."""
settings.register_profile("few", deadline=None, max_examples=20)
"""For `make check`, which has little time: a fifth of all examples (tests/examples.py)."""

WITHOUT_SWITCH = "not switch"
"""The tests that `make check` selects."""

collect_ignore = [] if os.environ.get("HOSTS") else ["hosts"]
"""`make hosts` runs those."""


class SwitchTests:
    """Fails a full run in which no test marked `switch` passed, and each such test that would be skipped.

    Only a test of what another datapath does may be skipped, for the reason in its mark `only_on`.
    """

    def __init__(self) -> None:
        self.passed = 0

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if reason := _elsewhere(item):
            pytest.skip(reason)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        forbidden = item.get_closest_marker("switch") and not _elsewhere(item)
        if report.skipped and forbidden and not hasattr(report, "wasxfail"):
            report.outcome = "failed"
            report.longrepr = f"a test on a real switch must run: {report.longrepr}"
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed and "switch" in report.keywords:
            self.passed += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.lacking(session.config) and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        if self.lacking(config):
            terminalreporter.write_line("no test on a real switch passed: this run says nothing", red=True)

    def lacking(self, config: pytest.Config) -> bool:
        """Whether the whole suite was requested and no test on a real switch passed."""
        chosen = config.args_source is not pytest.Config.ArgsSource.TESTPATHS
        names = ("keyword", "markexpr", "lf", "collectonly")  # lf is not there without its plugin
        selected = any(config.getoption(name, default=None) for name in names)
        return not (self.passed or chosen or selected)


def _elsewhere(item: pytest.Item) -> str:
    """The reason why a test does not run on the datapath of this run; None if it runs."""
    mark = item.get_closest_marker("only_on")
    if mark is None:
        return ""
    datapath, reason = mark.args
    return "" if DATAPATH is Datapath(datapath) else f"only on {datapath.name}: {reason}"


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(SwitchTests())


def skip_or_fail(config: pytest.Config, missing: str) -> None:
    """Skip a test that lacks something in `make check`, which works everywhere; fail it in other runs."""
    (pytest.skip if config.getoption("markexpr") == WITHOUT_SWITCH else pytest.fail)(missing)


@pytest.fixture(scope="session")
def open_vswitch(pytestconfig: pytest.Config) -> None:
    """Requires Open vSwitch's programs, as any user."""
    if shutil.which("ovsdb-server") is None:
        skip_or_fail(pytestconfig, "Open vSwitch is not installed (as root: make packages)")


@pytest.fixture(scope="session")
def iproute2(pytestconfig: pytest.Config) -> None:
    """Requires ss(8)."""
    if shutil.which("ss") is None:
        skip_or_fail(pytestconfig, "iproute2 is not installed (as root: make packages)")


@pytest.fixture(scope="session")
def debian_mininet(pytestconfig: pytest.Config) -> None:
    """Requires Debian's Mininet."""
    if not Path("/usr/lib/python3/dist-packages/mininet").exists():
        skip_or_fail(pytestconfig, "Debian's Mininet is not installed (as root: make packages)")


@pytest.fixture(scope="session")
def openstack_client(pytestconfig: pytest.Config) -> None:
    """Requires the OpenStack client."""
    if not Path(".venv-openstack/bin/openstack").exists():
        skip_or_fail(pytestconfig, "there is no OpenStack client: run `make .venv-openstack/installed`")


@pytest.fixture(scope="session")
def root(pytestconfig: pytest.Config) -> None:
    """Requires root."""
    if os.geteuid():
        skip_or_fail(pytestconfig, "needs root")


@pytest.fixture(scope="session")
def private_network(open_vswitch: None, pytestconfig: pytest.Config) -> None:
    """Puts the test process into a separate network namespace, which ends with it.

    `make check` stays in the machine's network, since only root could leave it. Its tests make no devices,
    and listen on free ports.
    """
    if pytestconfig.getoption("markexpr") != WITHOUT_SWITCH:
        netns.isolate()


@pytest.fixture
def nothing_left(private_network: None) -> Iterator[None]:
    """Removes devices that outlive their switch; fails a test that leaves namespaces."""
    devices, namespaces = netns.devices(), netns.namespaces()
    yield
    for name in netns.devices() - devices:
        subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)
    for name in devices:
        subprocess.run(["ip", "address", "flush", "dev", name], capture_output=True, check=False)
    left = netns.namespaces() - namespaces
    for name in left:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
    assert not left


@pytest.fixture
def ovs(nothing_left: None) -> Iterator[PrivateOvs]:
    """A running Open vSwitch without a bridge, on the datapath of this run."""
    with PrivateOvs() as switch:
        yield switch


@pytest.fixture
def dummy_ovs(open_vswitch: None) -> Iterator[PrivateOvs]:
    """A running Open vSwitch with simulated devices and no bridge."""
    with PrivateOvs(dummy=True) as switch:
        yield switch


@pytest.fixture
def workloads(ovs: PrivateOvs) -> Iterator[Workloads]:
    """Makes workloads on the switch's bridges, for one test."""
    made = Workloads(ovs)
    yield made
    made.close()
