from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sgctl.settings import NO_LIMIT, Settings


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


@pytest.mark.parametrize("text", ["fast", "-1", "1.5", "", "99999999"])
def test_a_budget_is_a_number_of_kilobits(text: str) -> None:
    values = {"SGCTL_CONTROL_RATE": "64", "SGCTL_CONTROL_BURST": "256"}
    assert Settings.from_environment(values).control_budget == (64, 256)
    settings = replace(Settings.from_environment(values), control_burst=text)
    with pytest.raises(ValueError, match="sgctl-control-burst"):
        _ = settings.control_budget


def test_a_rate_of_zero_is_no_limit() -> None:
    assert Settings.from_environment({"SGCTL_CONTROL_RATE": "0"}).control_budget == (NO_LIMIT, NO_LIMIT)


def test_connections_of_a_network_are_a_share_unless_a_number_is_given() -> None:
    assert Settings.from_environment({}).connections_of_network is None
    assert Settings.from_environment({"SGCTL_CONNECTIONS": "0"}).connections_of_network == 0
    for wrong in ("-1", "many", "1.5", "2147483648"):
        with pytest.raises(ValueError, match="sgctl-connections"):
            _ = Settings.from_environment({"SGCTL_CONNECTIONS": wrong}).connections_of_network
