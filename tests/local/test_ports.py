"""Loopback ports."""

import socket

import pytest

from mts_stream.errors import LocalPartError
from mts_stream.local.ports import free_ports, is_free, preferred_or_free, require_free


def test_free_ports_are_different_and_free() -> None:
    """Several ports at once are several."""
    ports = free_ports(5)

    assert len(set(ports)) == 5
    assert all(is_free(port) for port in ports)


def test_a_port_that_was_asked_for_has_to_be_free() -> None:
    """A taken port is an error that names the part, the port and the option."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(LocalPartError, match=f"Kafka cannot listen on 127.0.0.1:{port}.*--kafka-port"):
            require_free(port, "Kafka", "--kafka-port")
        assert preferred_or_free(port) != port
    assert require_free(port, "Kafka", "--kafka-port") == port == preferred_or_free(port)
