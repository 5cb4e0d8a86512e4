"""The producers' loop: names looked up in threads that hold up nobody's end, addresses tried one by one."""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from producers.loop import run_async

PATIENCE_S = 30.0
"""Of the system's resolver, where no name server answers."""

END_S = 2.0
NAME = "exchange.test"


@pytest.fixture
def deaf_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """No name server answers; set once it was asked."""
    asked, over = threading.Event(), threading.Event()

    def wait(*_: Any, **__: Any) -> Any:
        asked.set()
        over.wait(PATIENCE_S)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    yield asked
    over.set()


def _connect(**options: Any) -> Awaitable[Any]:
    return asyncio.get_running_loop().create_connection(asyncio.Protocol, NAME, 443, **options)


def _look_up() -> Awaitable[Any]:
    return asyncio.get_running_loop().getaddrinfo(NAME, 443)


@pytest.mark.parametrize("ask", [_connect, _look_up])
def test_a_name_that_nobody_resolves_holds_up_no_end(
    deaf_resolver: threading.Event, ask: Callable[[], Awaitable[Any]]
) -> None:
    """Ctrl-C while the resolver is still patient ends the loop at once."""

    async def ask_and_leave() -> None:
        asking = asyncio.ensure_future(ask())
        while not deaf_resolver.is_set():
            await asyncio.sleep(0.01)
        asking.cancel()

    began_s = time.monotonic()
    run_async(ask_and_leave())
    assert time.monotonic() - began_s < END_S


def test_every_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    """The first that answers is taken; where none does, the first one's error is told."""
    ports = [unused_tcp_port]
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port)) for port in ports]
    )

    async def meet() -> Any:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        async with server:
            with pytest.raises(ConnectionRefusedError):
                await _connect()
            ports.append(server.sockets[0].getsockname()[1])
            transport, _ = await _connect()
            transport.close()
            return transport.get_extra_info("peername")

    assert run_async(meet()) == ("127.0.0.1", ports[1])


def test_a_server_hears_the_name_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS is for the name and not for the address that was found: certificates are issued to names."""

    async def meet() -> bytes:
        heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.set_result(await reader.read(4096))
            writer.close()

        async with await asyncio.start_server(hear, "127.0.0.1", 0) as server:
            address = server.sockets[0].getsockname()
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(socket.AF_INET, 1, 6, "", address)])
            with pytest.raises(OSError):
                await _connect(ssl=True)
            return await heard

    assert NAME.encode() in run_async(meet())
