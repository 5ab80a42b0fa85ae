"""Cloud security groups on Open vSwitch: controller, policy database and command line.

`ryu-manager sgctl` imports this package and takes the Ryu application it finds here. The command line
imports it too and must not load Ryu, so the application is only imported when somebody looks for it.
"""

from __future__ import annotations

from importlib import import_module

APPLICATION = "SecurityGroups"


def __getattr__(name: str) -> type:
    if name != APPLICATION:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        application: type = getattr(import_module(f"{__name__}.ryu.app"), APPLICATION)
    except AttributeError as error:
        # Ryu reads this package with inspect.getmembers, which takes AttributeError for "not there".
        raise ImportError(f"cannot load {__name__}.ryu.app: {error}") from error
    application.__module__ = __name__  # Ryu only accepts a class of the module that it was told to load
    return application


def __dir__() -> list[str]:
    return sorted([*globals(), APPLICATION])
