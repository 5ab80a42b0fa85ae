"""The real command in a process of its own, with a small application made here."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

import sgctl
from lab.controller import RYU_MANAGER, free_port
from lab.process import answers, wait_until
from sgctl.ryu.repair import is_source_file

ROOT = Path(sgctl.__file__).parents[1]

APPLICATION = textwrap.dedent(
    """
    import time
    from ryu.base.app_manager import RyuApp
    from ryu.controller import ofp_event
    from ryu.controller.handler import MAIN_DISPATCHER, set_ev_cls
    from ryu.lib import hub

    class SecurityGroups(RyuApp):
        def start(self):
            super().start()
            hub.spawn(self.work)
            options = sorted(name for name in self.CONF if name.startswith(("sgctl", "ofp_l", "wsapi")))
            print({name: self.CONF[name] for name in options}, flush=True)

        def work(self):  # never idle for long: signals mostly arrive here
            while True:
                sum(range(200_000))
                time.sleep(0)

        @set_ev_cls(ofp_event.EventOFPHello, MAIN_DISPATCHER)
        def hello(self, event):  # makes Ryu listen for switches
            pass

        def close(self):
            print("closed", flush=True)
    """
)
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts programs in a folder without anything of ours in it, and kills those left at the end."""
    started = []

    def popen(
        command: Sequence[str | Path], cwd: Path = tmp_path, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            list(map(str, command)),
            cwd=cwd,
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        started.append(process)
        return process

    yield popen
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def application(tmp_path: Path) -> str:
    file = tmp_path / "example.py"
    file.write_text(APPLICATION)
    return f"./{file.name}"


@pytest.fixture
def port_option() -> str:
    return f"--ofp-tcp-listen-port={free_port()}"


def serves(process: subprocess.Popen[str], port_option: str) -> None:
    port = int(port_option.rpartition("=")[2])
    wait_until(lambda: process.poll() is not None or answers(("127.0.0.1", port)), "listening")
    if process.returncode is not None:
        pytest.fail(process.communicate()[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_closes_the_application(
    start: Start, application: str, port_option: str, number: signal.Signals
) -> None:
    process = start([RYU_MANAGER, application, port_option])
    serves(process, port_option)
    process.send_signal(number)
    output, errors = process.communicate(timeout=10)
    assert process.returncode == 0, errors
    assert output.endswith("closed\n")


def test_start_prints_no_warning(start: Start, application: str, port_option: str) -> None:
    process = start([RYU_MANAGER, application, port_option])
    serves(process, port_option)
    process.terminate()
    errors = process.communicate(timeout=10)[1]
    time_and_level = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} INFO [\w.]+: "
    expected = re.compile(f"{time_and_level}(loading|instantiating) app ")
    assert all(map(expected.match, errors.splitlines())), errors


@pytest.mark.parametrize("folder", [ROOT, RYU_MANAGER.parent, Path("/")])
@pytest.mark.parametrize("command", [[RYU_MANAGER], [sys.executable, "-m", "sgctl.ryu.manager"]])
def test_package_is_found_from_any_folder(
    start: Start, folder: Path, command: list[str | Path], port_option: str, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(APPLICATION)
    (tmp_path / "sitecustomize.py").write_text(
        f"import sgctl.ryu; sgctl.ryu.__path__.insert(0, {str(tmp_path)!r})"
    )
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    process = start([*command, "sgctl", port_option], cwd=folder, env=environ)
    serves(process, port_option)
    process.terminate()
    output, errors = process.communicate(timeout=10)
    assert "instantiating app sgctl of SecurityGroups" in errors
    assert output.endswith("closed\n")


def options_of(process: subprocess.Popen[str], port_option: str) -> str:
    serves(process, port_option)
    process.terminate()
    return process.communicate(timeout=10)[0].splitlines()[0]


def test_defaults_are_local(start: Start, application: str, port_option: str) -> None:
    options = options_of(start([RYU_MANAGER, application, port_option], env={}), port_option)
    assert "'ofp_listen_host': '127.0.0.1'" in options
    assert "'wsapi_host': '127.0.0.1', 'wsapi_port': 9696" in options
    assert "'sgctl_db': ''" in options
    assert "'sgctl_run_dir': '/var/run/sgctl'" in options


def test_command_line_beats_file_beats_environment(
    start: Start, application: str, port_option: str, tmp_path: Path
) -> None:
    file = tmp_path / "ryu.conf"
    file.write_text("[DEFAULT]\nsgctl_run_dir = /file\nsgctl_state_dir = /file\n")
    environ = {"SGCTL_RUN_DIR": "/env", "SGCTL_STATE_DIR": "/env", "SGCTL_DB": "unix:/env"}
    command = [RYU_MANAGER, application, port_option, f"--config-file={file}", "--sgctl-run-dir=/line"]
    options = options_of(start(command, env=environ), port_option)
    assert "'sgctl_db': 'unix:/env'" in options
    assert "'sgctl_run_dir': '/line', 'sgctl_state_dir': '/file'" in options


def test_port_in_use_is_one_line_and_exit_1(iproute2: None, start: Start, application: str) -> None:
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as server:
        port = server.getsockname()[1]
        process = start([RYU_MANAGER, application, f"--ofp-tcp-listen-port={port}"])
        errors = process.communicate(timeout=10)[1]
    assert process.returncode == 1
    expected = re.escape(f"ryu-manager: cannot listen on 127.0.0.1:{port}: Address already in use")
    assert re.fullmatch(
        rf"{expected} \([\w.-]+, process {os.getpid()}, listens there\)", errors.splitlines()[-1]
    )
    assert "Traceback" not in errors


def test_help_shows_our_options_and_defaults(start: Start) -> None:
    text = " ".join(start([sys.executable, "-m", "sgctl.ryu.manager", "--help"]).communicate()[0].split())
    assert "--sgctl-state-dir" in text
    assert "openflow listen host (default 127.0.0.1)" in text


def test_which_arguments_name_a_source_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sgctl").mkdir()
    (tmp_path / "script").write_text("")
    (tmp_path / "app.py").write_text("")
    assert not is_source_file("sgctl")
    assert not is_source_file("script")
    assert not is_source_file("other.py")
    assert is_source_file("app.py")
    assert is_source_file("./script")


def test_a_broken_application_is_not_reported_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sgctl.ryu.app", sys)
    with pytest.raises(ImportError, match="SecurityGroups"):
        _ = sgctl.SecurityGroups
    with pytest.raises(AttributeError):
        _ = sgctl.Nothing
