"""Fast import of Ryu, because a restart waits for it: slow modules that sgctl does not need are left out.

Substitutes replace those modules while Ryu is imported. Afterwards `sys.modules` is as it was before.

Gain: without it, a restart with 400 ports takes 1.15 times as long (`python -m bench --only optimizations`).
Switch it off with `SGCTL_WITHOUT=imports`.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Self

from sgctl.optimizations import is_on


def import_quickly() -> None:
    """Import the modules of Ryu that would otherwise take long."""
    if not is_on("imports"):
        return
    with _without_distutils(), _without_index():
        importlib.import_module("ryu.flags")
        packet = importlib.import_module("ryu.lib.packet.packet")
    packet.PKT_CLS_DICT.update(_packet_classes(packet.packet_base.PacketBase))


class VersionNumber(tuple[int, ...]):
    """The numbers of a version, for comparison; replaces distutils' LooseVersion."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Read all numbers in the text, such as `1.2.3`; words are ignored."""
        return super().__new__(cls, map(int, re.findall(r"\d+", text)))


@contextmanager
def _without_distutils() -> Iterator[None]:
    """Replace distutils, from which Ryu only uses LooseVersion (for the version of a router).

    Python 3.12 removed distutils. Importing setuptools' copy takes longer than the rest of Ryu.
    """
    version = ModuleType("distutils.version")
    vars(version)["LooseVersion"] = VersionNumber
    stand_in = {"distutils": ModuleType("distutils"), "distutils.version": version}
    before = {name: sys.modules[name] for name in stand_in if name in sys.modules}
    sys.modules.update(stand_in)
    try:
        yield
    finally:
        for name in stand_in:
            del sys.modules[name]
        sys.modules.update(before)


@contextmanager
def _without_index() -> Iterator[None]:
    """Keep Ryu's packet library from building its index of classes, which takes quadratic time.

    `_packet_classes` builds the same index faster.
    """
    import ryu.utils

    ryu_import = ryu.utils.import_module
    ryu.utils.import_module = ModuleType  # an empty library
    try:
        yield
    finally:
        ryu.utils.import_module = ryu_import


def _packet_classes(base: type) -> dict[str, Any]:
    """The index of packet classes by name, as Ryu's packet library builds it."""
    library = vars(sys.modules["ryu.lib.packet"]).values()
    modules = [vars(module) for module in library if isinstance(module, ModuleType)]
    return {
        name: kind
        for module in modules
        for name, kind in module.items()
        if isinstance(kind, type) and base in kind.__mro__
    }
