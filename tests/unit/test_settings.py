from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flows.openflow.wire import BUDGETS
from sgctl.settings import NO_LIMIT, SETTINGS, Settings


def test_defaults_are_the_machines_own_places() -> None:
    settings = Settings.from_environment({})
    assert settings.db == ""
    assert settings.ovsdb == "unix:/var/run/openvswitch/db.sock"
    assert settings.policy_remote == "unix:/var/run/sgctl/policy.sock"
    assert settings.policy_file == Path("/var/lib/sgctl/policy.db")


def test_environment_gives_other_defaults() -> None:
    environ = {"SGCTL_RUN_DIR": "/r", "SGCTL_STATE_DIR": "/s", "OVS_RUNDIR": "/o", "SGCTL_DB": ""}
    settings = Settings.from_environment(environ)
    assert settings.policy_remote == "unix:/r/policy.sock"
    assert settings.policy_file == Path("/s/policy.db")
    assert settings.ovsdb == "unix:/o/db.sock"


def test_named_database_is_used_as_it_is() -> None:
    settings = Settings.from_environment(
        {"SGCTL_DB": "tcp:192.0.2.1:6641", "SGCTL_OVSDB": "tcp:192.0.2.2:6640"}
    )
    assert settings.policy_remote == "tcp:192.0.2.1:6641"
    assert settings.ovsdb == "tcp:192.0.2.2:6640"


def test_package_and_settings_do_not_load_ryu() -> None:
    script = "import sys, sgctl, sgctl.settings; sys.exit(bool({'ryu', 'eventlet'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_check_interval_is_a_number_of_seconds() -> None:
    assert Settings.from_environment({}).check_seconds == 60.0
    assert Settings.from_environment({"SGCTL_CHECK_INTERVAL": "0"}).check_seconds is None
    for wrong in ("-1", "nan", "inf", "soon"):
        with pytest.raises(ValueError, match="no number of seconds"):
            assert Settings.from_environment({"SGCTL_CHECK_INTERVAL": wrong}).check_seconds


@pytest.mark.parametrize("text", ["fast", "-1", "1.5", "", "99999999", "٣"])
@pytest.mark.parametrize(("kind", "unit"), [("control", "kilobits"), ("fragment", "fragments")])
def test_a_budget_is_two_numbers(kind: str, unit: str, text: str) -> None:
    values = {f"sgctl_{kind}_rate": "64", f"sgctl_{kind}_burst": "256"}
    good = {setting.name: setting.default({}) for setting in SETTINGS} | values
    assert getattr(Settings.from_values(good), f"{kind}_budget") == (64, 256)
    for part in ("rate", "burst"):
        wrong = Settings.from_values({**good, f"sgctl_{kind}_{part}": text})
        with pytest.raises(ValueError, match=f"sgctl-{kind}-{part}: '{text}' is no number of {unit}"):
            getattr(wrong, f"{kind}_budget")


@pytest.mark.parametrize("kind", ["control", "fragment"])
def test_a_rate_of_zero_is_no_limit(kind: str) -> None:
    settings = Settings.from_environment({f"SGCTL_{kind.upper()}_RATE": "0"})
    assert getattr(settings, f"{kind}_budget") == (NO_LIMIT, NO_LIMIT)


def test_defaults_are_the_budgets_of_the_benchmarks_and_tests() -> None:
    settings = Settings.from_environment({})
    assert settings.control_budget == BUDGETS.control[:2]
    assert settings.fragment_budget == BUDGETS.fragments[:2]


def test_connections_of_a_network_are_a_share_unless_a_number_is_given() -> None:
    assert Settings.from_environment({}).connections_of_network is None
    assert Settings.from_environment({"SGCTL_CONNECTIONS": "0"}).connections_of_network == 0
    for wrong in ("-1", "many", "1.5", "2147483648"):
        with pytest.raises(ValueError, match="sgctl-connections"):
            _ = Settings.from_environment({"SGCTL_CONNECTIONS": wrong}).connections_of_network
