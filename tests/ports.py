"""A port for a server that a test starts."""

import itertools
import os
import socket

# below those that a system gives to whoever asks for any port (from 32768 on under Linux), so that nobody
# takes one between this look and the start of the server; a thousand for each worker of pytest-xdist
FIRST = 20000 + 1000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_next = itertools.count(FIRST + os.getpid() % 500)


def free_port() -> int:
    """One on 127.0.0.1 that nobody listens on and that no other test is given."""
    for port in _next:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError
