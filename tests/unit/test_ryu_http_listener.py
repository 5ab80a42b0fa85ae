"""What the API's HTTP server leaves behind after a connection."""

from __future__ import annotations

import subprocess
import sys

CONNECTIONS = 100
SCRIPT = f"""
import gc, logging
from sgctl.ryu import repair
repair.prepare()
import eventlet, eventlet.wsgi
from sgctl.ryu.http_listener import ARRIVED, HttpListener, protocol

def application(environ, start_response):
    environ[ARRIVED]()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

listening = eventlet.listen(("127.0.0.1", 0))
listener = HttpListener(listening)
quiet = dict(log=logging.getLogger("requests"), log_output=False)
server = eventlet.spawn(eventlet.wsgi.server, listener, application, protocol=protocol(listener), **quiet)

def ask():
    with eventlet.connect(listening.getsockname()) as stream:
        stream.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
        while stream.recv(1000):
            pass
    eventlet.sleep(0)

ask()
gc.collect()
gc.disable()
for _ in range({CONNECTIONS}):
    ask()
print(gc.collect())
"""


def test_a_connection_leaves_nothing_to_the_garbage_collector() -> None:
    """Else the collector would have to run often, and all requests wait while it runs."""
    found = int(subprocess.check_output([sys.executable, "-c", SCRIPT], text=True))
    assert found < CONNECTIONS, "less than one object for each connection"
