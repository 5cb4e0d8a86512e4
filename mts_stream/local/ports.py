"""Loopback ports: free ones, and a clear word about one that is taken."""

from __future__ import annotations

import errno
import socket
from itertools import islice
from random import SystemRandom

from mts_stream.errors import LocalPartError

HOST = "127.0.0.1"
FREE_PORTS = range(15_000, 32_000)
"""Below where Linux (32768) and macOS (49152) take the ports of outgoing connections: one of those could hold a port
between its choice and its use, or while its server is down for a moment."""

_random = SystemRandom()


def free_ports(count: int) -> list[int]:
    """`count` different ports that were free a moment ago."""
    free = filter(is_free, _random.sample(FREE_PORTS, len(FREE_PORTS)))
    ports = list(islice(free, count))
    if len(ports) < count:
        raise LocalPartError(f"{HOST} has no {count} free ports from {FREE_PORTS[0]} to {FREE_PORTS[-1]}")
    return ports


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now."""
    with socket.socket() as probe:
        # As servers do, so that connections of an ended server that still linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
        return True


def require_free(port: int, name: str, option: str) -> int:
    """`port`, or a `LocalPartError` that names the part, the port and the option to change."""
    if not is_free(port):
        raise LocalPartError(port_in_use(port, name, option))
    return port


def port_in_use(port: int, name: str, option: str) -> str:
    """The line for a port that something else holds."""
    return (
        f"{name} cannot listen on {HOST}:{port}: the port is in use; stop what holds it or choose another with {option}"
    )


def preferred_or_free(port: int) -> int:
    """`port` when nothing holds it, else some free one."""
    return port if is_free(port) else free_ports(1)[0]
