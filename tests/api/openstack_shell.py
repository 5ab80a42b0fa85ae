"""The OpenStack client for many commands in one process: each line of input is a JSON list of arguments.

Runs in .venv-openstack. One process is used because each start of the client takes a second.
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
