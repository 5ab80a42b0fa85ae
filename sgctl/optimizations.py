"""Optimizations that change how libraries and programs work, and how to switch them off.

`SGCTL_WITHOUT=imports,collector` switches these two off, for controllers and for commands. The library
then works in its usual way. Use it to check whether an optimization causes a fault, or how much it gains
(`python -m bench --only optimizations`). Enforcement does not depend on any of them.

Flow statistics have no switch: `flows.openflow.wire` reads them in place of Ryu, whose parsers a peer can
block for good (docs/decisions/openflow-listener.md).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

VARIABLE = "SGCTL_WITHOUT"

OPTIMIZATIONS: Mapping[str, str] = {
    "imports": "Ryu is imported without modules that are slow to load (sgctl.ryu.imports)",
    "collector": "the garbage collector runs rarely, and not on the policy (sgctl.ovsdb.collector)",
    "reader": "OVSDB's messages are read by Python's own JSON parser (sgctl.ovsdb.library)",
    "management": "a starting controller connects to bridges by itself (sgctl.switch.management)",
    "signatures": "a small change is committed in one round trip instead of two (sgctl.switch.channel)",
    "allocator": "Open vSwitch's programs that we start run without malloc's fast bins (sgctl.store.server)",
}
"""By name: what the optimization does, and in which module. The docstring there says what it gains."""


def problem(environ: Mapping[str, str] = os.environ) -> str:
    """Why the variable cannot be used: names in it that are not optimizations. Empty if it can."""
    unknown = sorted(_off(environ) - OPTIMIZATIONS.keys())
    return f"{VARIABLE}: no such optimization: {', '.join(unknown)}" if unknown else ""


def is_on(name: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether an optimization is to be used. Raises KeyError for a name that is not in the table."""
    if name not in OPTIMIZATIONS:
        raise KeyError(name)
    return name not in _off(environ)


def _off(environ: Mapping[str, str]) -> set[str]:
    return {name.strip() for name in environ.get(VARIABLE, "").split(",")} - {""}
