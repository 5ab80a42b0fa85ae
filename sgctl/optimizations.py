"""Optimizations that change how libraries work, and how to switch them off.

`SGCTL_WITHOUT=imports,collector` switches these two off, for controllers and for commands. The library
then works in its usual way. Use it to check whether an optimization causes a fault, or how much it gains
(`python -m bench --only optimizations`). Enforcement does not depend on any of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

VARIABLE = "SGCTL_WITHOUT"

OPTIMIZATIONS: Mapping[str, str] = {
    "imports": "Ryu is imported without modules that are slow to load (sgctl.ryu.imports)",
    "collector": "the garbage collector looks seldom, and not at the policy (sgctl.ovsdb.garbage)",
    "reader": "OVSDB's messages are read by Python's own JSON parser (sgctl.ovsdb.library)",
    "management": "a starting controller connects to bridges by itself (sgctl.switch.management)",
    "signatures": "a small change is committed in one round trip instead of two (sgctl.switch.channel)",
}
"""By name: what the optimization does, and in which module. docs/operations.md says what each gains."""


def unknown(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The names in the variable that are not optimizations, sorted."""
    return sorted(_off(environ) - OPTIMIZATIONS.keys())


def is_on(name: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether an optimization is to be used. Raises KeyError for a name that is not in the table."""
    return bool(OPTIMIZATIONS[name]) and name not in _off(environ)


def _off(environ: Mapping[str, str]) -> set[str]:
    return {name.strip() for name in environ.get(VARIABLE, "").split(",")} - {""}
