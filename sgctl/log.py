"""The format of the controller's log lines."""

from __future__ import annotations

import logging
from logging.handlers import SysLogHandler
from typing import Any

_WHAT = "%(levelname)s %(name)s: %(message)s"
PLAIN = logging.Formatter(f"%(asctime)s.%(msecs)03d {_WHAT}", "%Y-%m-%d %H:%M:%S")
"""`2026-01-31 12:00:00.123 WARNING sgctl.controller.loop: …`, in local time."""
SYSLOG = logging.Formatter(f"sgctl: {_WHAT}")
"""Syslog adds the time itself, and expects the program's name at the start of the line (syslog(3))."""


def format_lines(conf: Any) -> None:
    """Set these formats on the root logger's handlers, unless Ryu's `--log-config-file` is used."""
    if conf.log_config_file:
        return
    for handler in logging.getLogger().handlers:
        handler.setFormatter(SYSLOG if isinstance(handler, SysLogHandler) else PLAIN)
