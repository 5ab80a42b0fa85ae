"""The OpenStack client, many commands in one process: each line read is a JSON list of arguments.

Runs in .venv-openstack; starting the client anew takes a second each time.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

from openstackclient.shell import OpenStackShell  # type: ignore[import-not-found]  # not in this environment

for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = OpenStackShell().run(json.loads(line))
        except SystemExit as stop:
            code = stop.code
    print(json.dumps({"code": code, "out": out.getvalue(), "err": err.getvalue()}), flush=True)
