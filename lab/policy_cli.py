"""Runs the `sgctl` command line as an operator would; a failing command raises an error."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

from lab.process import LabError, run
from lab.scenario.model import Document, Edit

SGCTL = Path(sys.executable).with_name("sgctl")
_WAIT_SECONDS = 20
_AT_ONCE = 2


class PolicyCli:
    """`sgctl` with an environment in which it finds the databases of one controller.

    Every method but `run` raises LabError with the command's error output when its exit status is not 0.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def edit(self, edit: Edit) -> None:
        """Apply a step's documents in one file, then delete the objects that the step names."""
        if edit.apply:
            self.apply(edit.apply)
        for reference in edit.delete:
            kind, _, name = reference.partition("/")
            self("delete", kind, name)

    def apply(self, documents: Sequence[Document]) -> None:
        """`sgctl apply` of documents in one file."""
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
            yaml.safe_dump_all(documents, file, sort_keys=False)
            file.flush()
            self("apply", "-f", file.name)

    def apply_in_vain(self, documents: Sequence[Document]) -> None:
        """`sgctl apply` without a running controller: the command stores the policy and says so."""
        try:
            self.apply(documents)
        except LabError as error:
            if "the policy is stored, and not enforced there" in str(error):
                return
            raise
        raise LabError("sgctl apply did not notice that no controller is running")

    def attach(self, ports: Mapping[str, str], uplinks: Mapping[str, Iterable[str]]) -> None:
        """Bind devices to policy ports, and declare the uplinks with the networks behind them."""
        commands = [["port", "bind", port, device] for device, port in ports.items()]
        for device, networks in uplinks.items():
            options = [word for network in networks for word in ("--network", network)]
            commands.append(["uplink", "set", device, *options])
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda command: self(*command), commands))

    def wait(self) -> None:
        """Wait until every connected switch has the whole policy."""
        self("wait", "--timeout", str(_WAIT_SECONDS))

    def __call__(self, *arguments: str) -> str:
        """The output of `sgctl ARGUMENTS`."""
        return run([SGCTL, *arguments], self._environment)

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run `sgctl ARGUMENTS`; any exit status is accepted."""
        command: list[str | Path] = [SGCTL, *arguments]
        return subprocess.run(
            command, env=self._environment, input=stdin, capture_output=True, text=True, check=False
        )
