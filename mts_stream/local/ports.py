"""Loopback ports: free ones, and a clear word about one that is taken."""

from __future__ import annotations

import errno
import socket

from mts_stream.errors import LocalPartError

HOST = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """`count` different ports that were free a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


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
