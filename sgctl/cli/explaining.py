"""What commands need that explain verdicts and flows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flows.policy.index import Policy
from flows.policy.objects import Change
from sgctl.cli.command_session import CommandSession, plain_failures
from sgctl.cli.output.terminal import Failure
from sgctl.explain.expected import ExpectedState, Unexplained
from sgctl.explain.switch import SwitchTools


@contextmanager
def explained() -> Iterator[None]:
    """Turn what cannot be explained into Failure, as well as errors of the policy and of databases."""
    with plain_failures():
        try:
            yield
        except Unexplained as error:
            raise Failure(str(error)) from error


def stored_policy(session: CommandSession) -> Policy:
    """The policy alone, without any switch."""
    policy = Policy()
    policy.apply(Change(None, obj) for obj in session.store.objects.everything())
    policy.apply_bound(dict.fromkeys(session.store.bound_ports, True))
    return policy


def expected_state(session: CommandSession) -> ExpectedState:
    """The policy, and the flows that this machine's switches should have. Raises Failure."""
    with plain_failures():
        return ExpectedState(session.store, session.local)


def switch_tools(session: CommandSession) -> SwitchTools:
    """Open vSwitch's tools for this machine's switch."""
    return SwitchTools.beside(session.ovsdb)
