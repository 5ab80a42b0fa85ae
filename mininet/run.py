"""Builds a scenario in Mininet, enforces its policy with `ryu-manager sgctl`, probes it with real packets.

Exit code 0: every probe went as expected; 1: some did not; 2: the scenario or the machine has an error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
# Python searches this script's folder first; the packages are in its parent folder.
sys.path[0] = str(REPOSITORY)

from mininet.cli import CLI  # noqa: E402
from rich.console import Console  # noqa: E402

from lab.controller import Controller  # noqa: E402
from lab.matrix import LEGEND, StepResult, show_step, summary, to_json  # noqa: E402
from lab.ovs import PrivateOvs  # noqa: E402
from lab.policy_cli import PolicyCli  # noqa: E402
from lab.probe import AgentProcess, ProbeError  # noqa: E402
from lab.process import LabError  # noqa: E402
from lab.sandbox import PRIVATE_DIRECTORY, outer_pid, run_isolated, shield_daemons  # noqa: E402
from lab.scenario import Scenario, ScenarioError, drop_rule, find, load  # noqa: E402
from lab.trial import Trial  # noqa: E402
from lab.wiring import Wiring  # noqa: E402

_WIDE = 200
"""The width of the output in columns when it does not go to a terminal."""
_LOG_LINES = 30


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    options = _options(arguments)
    try:
        scenario = load(find(options.topology))
        dropped = (
            str(drop_rule([step.edit for step in scenario.steps], options.drop_rule))
            if options.drop_rule
            else ""
        )
    except (ScenarioError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    console = _console(options)
    console.print(scenario.name, style="bold underline", highlight=False)
    if scenario.description:
        console.print(scenario.description.strip(), style="italic", markup=False, highlight=False)
    console.print(LEGEND, style="dim", highlight=False)
    if dropped:
        console.print(f"without the rule {dropped}", style="bold yellow", markup=False, highlight=False)
    try:
        return run_isolated(lambda: Demo(scenario, options, console).run())
    except LabError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__)
    parser.add_argument("topology", help="a scenario file, or the name of one in topologies/")
    parser.add_argument("--cli", action="store_true", help="end in the Mininet prompt, with the policy live")
    parser.add_argument(
        "--keep-going", action="store_true", help="probe all steps, even after one went wrong"
    )
    parser.add_argument("--no-color", action="store_true", help="no colours")
    parser.add_argument(
        "-o", "--output", choices=["table", "json"], default="table", help="how to print results"
    )
    parser.add_argument(
        "--drop-rule", metavar="RULE", help="leave out a rule: NAME, GROUP/NAME or its number"
    )
    parser.add_argument(
        "--no-policy",
        action="store_true",
        help="switches forward everything: every denied probe must then turn wrong",
    )
    parser.add_argument(
        "--timeout", type=float, default=2.0, metavar="SECONDS", help="time limit of one probe"
    )
    return parser.parse_args(arguments)


def _console(options: argparse.Namespace) -> Console:
    """The console for text output; with JSON it is stderr, so that stdout contains only JSON."""
    as_json = options.output == "json"
    terminal = (sys.stderr if as_json else sys.stdout).isatty()
    return Console(stderr=as_json, no_color=options.no_color or None, width=None if terminal else _WIDE)


class Demo:
    """One run, in separate namespaces."""

    def __init__(self, scenario: Scenario, options: argparse.Namespace, console: Console) -> None:
        self._scenario = scenario
        self._options = options
        self._console = console

    def run(self) -> int:
        """Build, probe step by step, report. Raises LabError when the bench fails."""
        with ExitStack() as stack:
            ovs = stack.enter_context(PrivateOvs())
            os.environ.update(ovs.env)
            (PRIVATE_DIRECTORY / "openvswitch").symlink_to(ovs.rundir)
            policy = None if self._options.no_policy else stack.enter_context(_controller(ovs.remote))
            shield_daemons()
            wiring = Wiring(self._scenario.topology, policy[1] if policy else None)
            wiring.start()
            if policy:
                self._attach(policy[0], wiring)
            results = self._probe_steps(policy[0] if policy else None, wiring)
            self._report(results)
            if self._options.cli:
                self._prompt(wiring)
        return int(any(step.wrong for step in results))

    def _attach(self, cli: PolicyCli, wiring: Wiring) -> None:
        with self._console.status("applying the policy"):
            cli.edit(self._scenario.steps[0].edit)
            cli.attach(wiring.ports, wiring.uplinks)

    def _probe_steps(self, cli: PolicyCli | None, wiring: Wiring) -> list[StepResult]:
        agents = {host: AgentProcess(wiring.enter(host)) for host in self._scenario.topology.hosts}
        trial = Trial(self._scenario, agents, self._options.timeout)
        results: list[StepResult] = []
        try:
            trial.serve()
            for number, step in enumerate(self._scenario.steps):
                with self._console.status(f"probing: {step.name}"):
                    if cli:
                        if number:
                            cli.edit(step.edit)
                        cli.wait()
                    if not step.cells:
                        continue
                    before = results[-1] if results else None
                    results.append(trial.run(step))
                show_step(self._console, results[-1], before)
                if results[-1].wrong and not self._options.keep_going:
                    break
        except ProbeError as error:
            raise LabError(str(error)) from error
        finally:
            for agent in agents.values():
                agent.close()
        return results

    def _report(self, results: Sequence[StepResult]) -> None:
        if self._options.output == "json":
            json.dump(to_json(self._scenario.name, results), sys.stdout, indent=2)
            sys.stdout.write("\n")
        skipped = sum(bool(step.cells) for step in self._scenario.steps) - len(results)
        if skipped:
            self._console.print(
                f"{skipped} more steps not probed (--keep-going probes them all)", style="yellow"
            )
        wrong = any(step.wrong for step in results)
        style = "bold red" if wrong else "bold green"
        self._console.print(f"\n{summary(results)}", style=style, highlight=False)

    def _prompt(self, wiring: Wiring) -> None:
        """Open Mininet's prompt; its parser must be configured for host names with dashes."""
        hosts = list(self._scenario.topology.hosts)
        switch = next(iter(self._scenario.topology.switches))
        self._console.print(
            "\nThe policy is live. Try, for example:\n"
            f"  sh ovs-ofctl -OOpenFlow14 dump-flows {switch}\n"
            f"  {hosts[0]} ping -c 3 {hosts[-1]}\n"
            "  sh sgctl status\n"
            "  exit\n"
            f"From another terminal, as root: nsenter --all --target {outer_pid()} bash",
            markup=False,
            highlight=False,
        )
        CLI.identchars += "-."
        CLI(wiring.net)


@contextmanager
def _controller(ovsdb: str) -> Iterator[tuple[PolicyCli, int]]:
    """A running controller: its command line and its OpenFlow port. Its environment is added to ours.

    A LabError meanwhile gets the end of the controller's log, because the log is deleted at the end.
    """
    with Controller(ovsdb) as controller:
        (PRIVATE_DIRECTORY / "sgctl").symlink_to(controller.directory)
        os.environ.update(controller.environment)
        os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        try:
            yield PolicyCli(controller.environment), controller.openflow_port
        except LabError as error:
            log = controller.log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
            raise LabError("\n".join([str(error), "The end of the controller's log:", *log])) from error


if __name__ == "__main__":
    sys.exit(main())
