"""What is done around libraries to be faster, and how to do without it.

`SGCTL_WITHOUT=imports,collector` switches these two off, for a controller as for a command: the library then
does its work its own way. Use it to find out whether one of them causes a fault, or what it gains
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
"""Name → what is done, and where."""


def unknown(environ: Mapping[str, str] = os.environ) -> list[str]:
    """What the variable names although there is no such optimization."""
    return sorted(_off(environ) - OPTIMIZATIONS.keys())


def is_on(name: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether an optimization is to be used. Raises KeyError for a name that is not in the table."""
    return bool(OPTIMIZATIONS[name]) and name not in _off(environ)


def _off(environ: Mapping[str, str]) -> set[str]:
    return {name.strip() for name in environ.get(VARIABLE, "").split(",")} - {""}
