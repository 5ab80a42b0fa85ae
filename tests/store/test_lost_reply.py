"""A server that dies during a transaction: its client gets an error at once, because it may have to act."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from sgctl.store import Store, StoreError, SwitchStatus
from sgctl.store.server import PolicyServer

PATIENCE = 20.0


def test_a_lost_answer_is_noticed_without_a_new_server(server: PolicyServer) -> None:
    store = Store.connect(server.remote, PATIENCE)
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # the request arrives, but the server does not answer
    killer = threading.Timer(0.3, os.kill, (pid, signal.SIGKILL))
    killer.start()
    begin = time.monotonic()
    with pytest.raises(StoreError):
        store.report([SwitchStatus("host", "br0", "0" * 16)], [])
    assert time.monotonic() - begin < PATIENCE / 4
    killer.join()
    store.close()
