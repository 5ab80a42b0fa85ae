"""Importing Ryu without what takes long and serves nobody here: a restart waits for it.

Something else stands in while Ryu's modules are imported; whoever uses them finds what there always was.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Self


def import_quickly() -> None:
    """Import those of Ryu's modules that would take long."""
    with _without_distutils(), _without_index():
        importlib.import_module("ryu.flags")
        packet = importlib.import_module("ryu.lib.packet.packet")
    packet.PKT_CLS_DICT.update(_packet_classes(packet.packet_base.PacketBase))


class VersionNumber(tuple[int, ...]):
    """The numbers of a version, for comparison; takes the place of distutils' LooseVersion."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Read what is between the dots; words do not count."""
        return super().__new__(cls, map(int, re.findall(r"\d+", text)))


@contextmanager
def _without_distutils() -> Iterator[None]:
    """Python dropped it in 3.12, and where setuptools stands in, that takes longer than the rest of Ryu.

    Ryu has the version of a router from there.
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
    """Ryu's packet library looks for its classes by asking every class there is, each time through all."""
    import ryu.utils

    ryu_import = ryu.utils.import_module
    ryu.utils.import_module = ModuleType  # an empty library
    try:
        yield
    finally:
        ryu.utils.import_module = ryu_import


def _packet_classes(base: type) -> dict[str, Any]:
    """The same index."""
    library = vars(sys.modules["ryu.lib.packet"]).values()
    modules = [vars(module) for module in library if isinstance(module, ModuleType)]
    return {
        name: kind
        for module in modules
        for name, kind in module.items()
        if isinstance(kind, type) and base in kind.__mro__
    }
