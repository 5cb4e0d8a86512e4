"""A connection against a real websocket server: generations, pings, reconnects, paced sending, ends of all kinds."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from mts_stream.metrics import REGISTRY
from producers import connection as connection_module
from producers.backoff import Backoff
from producers.clock import SlewedClock
from producers.connection import Connection
from producers.pacing import AttemptPace


class Handler:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.fail = self.fail_at_second = False
        self.first_message: bytes | None = None

    def on_open(self, link: Connection, gen: int, now_ns: int) -> None:
        """The socket stands."""
        self.events.append(("open", gen))
        if self.first_message is not None:
            link.send(self.first_message)

    def on_message(self, message: bytes, received_ns: int) -> None:
        """A message came."""
        if self.fail:
            raise LookupError("a bug")
        self.events.append(("message", message))

    def on_pong(self, now_ns: int, pinged_ns: int) -> None:
        """The answer to a ping came."""
        self.events.append(("pong",))
        assert 0 <= now_ns - pinged_ns < 10**9

    def on_watch(self, now_ns: int) -> None:
        """A part of a second passed."""

    def on_second(self, now_ns: int) -> None:
        """A second passed."""
        if self.fail_at_second:
            raise LookupError("a bug")
        self.events.append(("second",))

    def on_close(self, reason: str, now_ns: int) -> None:
        """The connection is lost."""
        self.events.append(("close", reason))

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        """The events of a kind."""
        return [event for event in self.events if event[0] == kind]


class Server:
    """A websocket server whose clients are in the test's hands."""

    def __init__(self) -> None:
        self.clients: list[ServerConnection] = []
        self.received: list[tuple[float, Any]] = []
        self.url = ""

    async def handle(self, ws: ServerConnection) -> None:
        """Keep what comes."""
        self.clients.append(ws)
        async for message in ws:
            self.received.append((asyncio.get_running_loop().time(), message))


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server that runs."""
    running = Server()
    async with serve(running.handle, "127.0.0.1", 0) as listening:
        running.url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/stream"
        yield running


class Stand:
    """A connection with its handler."""

    def __init__(
        self, url: str, has_room: Callable[[], bool] = lambda: True, per_s: float = 100,
        attempts: AttemptPace | None = None,
    ) -> None:  # fmt: skip
        self.handler = Handler()
        self.connection = Connection(
            "c-0", url, self.handler, SlewedClock(), per_s, attempts or AttemptPace("here", 1000, 1), has_room,
            Backoff(0.01, 0.02),
        )  # fmt: skip
        self.task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Stand":
        self.task = asyncio.create_task(self.connection.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.connection.close("stopped")
        assert self.task is not None
        await asyncio.wait([self.task], timeout=5)
        assert self.task.done()


async def until(condition: Callable[[], Any], seconds: float = 15.0) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_messages_come_as_bytes_and_pings_are_answered(server: Server) -> None:
    """Text frames are not decoded; a ping goes out every second."""
    async with Stand(server.url) as stand:
        await until(lambda: server.clients)
        for number in range(150):
            await server.clients[0].send(f"m{number}")
        await until(lambda: len(stand.handler.of("message")) == 150)
        await until(lambda: stand.handler.of("pong") and stand.handler.of("second"))

    assert stand.handler.of("message")[149] == ("message", b"m149")
    assert stand.handler.events[-1] == ("close", "stopped")


async def test_each_connection_has_a_higher_generation(server: Server) -> None:
    """The handler hears the end before the new beginning, with the server's reason."""
    async with Stand(server.url) as stand:
        await until(lambda: len(stand.handler.of("open")) == 1)
        await server.clients[0].close(1001, "bye")
        await until(lambda: len(stand.handler.of("open")) == 2)
        server.clients[1].transport.abort()
        await until(lambda: len(stand.handler.of("open")) == 3)

    kinds = [event[0] for event in stand.handler.events if event[0] in ("open", "close")]
    assert kinds == ["open", "close"] * 3
    reasons = [event[1] for event in stand.handler.of("close")]
    assert reasons[0].startswith("closed: ") and "1001" in reasons[0]
    assert reasons[2] == "stopped"
    generations = [event[1] for event in stand.handler.of("open")]
    assert generations == sorted(set(generations)) and generations[0] > 1_700_000_000_000


async def test_dropping_is_heard_at_once_and_heals(server: Server) -> None:
    """No message of the dropped connection follows; dropping twice is dropping once."""
    async with Stand(server.url) as stand:
        await until(lambda: stand.connection.is_open and server.clients)
        await server.clients[0].send("late")
        stand.connection.drop("backpressure")
        stand.connection.drop("again")
        assert stand.handler.events[-1] == ("close", "backpressure")
        await until(lambda: len(server.clients) == 2 and stand.connection.is_open)

    closed = stand.handler.events.index(("close", "backpressure"))
    assert not [event for event in stand.handler.events[closed:] if event[0] == "message"]


async def test_sending_keeps_to_the_venues_rate(server: Server) -> None:
    """Five a second allowed, pings and pongs among them: three messages at once, the others a second later."""
    async with Stand(server.url, per_s=5) as stand:
        await until(lambda: stand.connection.is_open and server.clients)
        for number in range(6):
            stand.connection.send(b"%d" % number)
        await until(lambda: len(server.received) == 6)

    times = [at for at, _ in server.received]
    assert [message for _, message in server.received] == ["0", "1", "2", "3", "4", "5"]
    assert times[3] - times[0] >= 1 and times[5] - times[2] >= 1


async def test_attempts_keep_to_the_venues_limit(server: Server) -> None:
    """Two at once by all connections to the host, then one every 0.4 s, however fast they are lost; it is counted."""
    attempts = AttemptPace("limited", 8, 0.8)
    async with Stand(server.url, attempts=attempts) as one, Stand(server.url, attempts=attempts) as other:
        await until(lambda: one.connection.is_open and other.connection.is_open)
        began_s = asyncio.get_running_loop().time()
        for opened in range(3, 7):
            one.connection.drop("test")
            await until(lambda opened=opened: len(server.clients) == opened and one.connection.is_open)
        assert asyncio.get_running_loop().time() - began_s >= 4 * 0.4 - 0.3
    assert REGISTRY.get_sample_value("mts_connection_attempts_delayed_total", {"host": "limited"}) == 4


async def test_a_full_outbox_ends_the_connection(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing grows without bound."""
    monkeypatch.setattr(connection_module, "OUTBOX_MESSAGES_MAX", 3)
    async with Stand(server.url) as stand:
        await until(lambda: stand.connection.is_open)
        for _ in range(5):
            stand.connection.send(b"x")
        assert stand.handler.events[-1] == ("close", "outbox_full")


async def test_no_server_is_waited_for(unused_tcp_port: int) -> None:
    """Tried again until it is there; seconds pass meanwhile."""
    async with Stand(f"ws://127.0.0.1:{unused_tcp_port}/x") as stand:
        await until(lambda: stand.handler.of("second"))
        assert not stand.handler.of("open")
        server = Server()
        async with serve(server.handle, "127.0.0.1", unused_tcp_port):
            await until(lambda: stand.connection.is_open)


async def test_a_new_connection_waits_for_room(server: Server) -> None:
    """While Kafka takes nothing, nothing is fetched."""
    room = True
    async with Stand(server.url, lambda: room) as stand:
        await until(lambda: stand.connection.is_open)
        room = False
        stand.connection.drop("backpressure")
        await asyncio.sleep(0.3)
        assert len(stand.handler.of("open")) == 1
        room = True
        await until(lambda: len(stand.handler.of("open")) == 2)


async def test_a_bug_is_not_a_lost_connection(server: Server) -> None:
    """It ends the task with its own error, after `down` was said."""
    stand = Stand(server.url)
    stand.handler.fail = True
    running = asyncio.create_task(stand.connection.run())
    await until(lambda: server.clients)
    await server.clients[0].send("x")
    with pytest.raises(ExceptionGroup) as failed:
        await asyncio.wait_for(running, 10)
    assert failed.group_contains(LookupError)
    assert stand.handler.events[-1] == ("close", "failed: LookupError")


async def test_a_bug_at_a_second_ends_the_connection_too(server: Server) -> None:
    """Otherwise nothing would be said any more, neither `alive` nor keyframes, and nobody would know."""
    stand = Stand(server.url)
    stand.handler.fail_at_second = True
    with pytest.raises(ExceptionGroup) as failed:
        await asyncio.wait_for(stand.connection.run(), 10)
    assert failed.group_contains(LookupError)
    assert stand.handler.events[-1] == ("close", "stopped")


class HeldLog(Backoff):
    """Keeps for how long each try held."""

    def __init__(self) -> None:
        super().__init__(0.01, 0.02)
        self.seconds: list[float] = []

    def held(self, seconds: float) -> None:
        """A try has ended."""
        self.seconds.append(seconds)
        super().held(seconds)


async def test_a_try_counts_from_its_opening(server: Server, unused_tcp_port: int) -> None:
    """What was refused, however late, did not hold at all: else slow refusals would never be waited for any longer."""
    async with Stand(f"ws://127.0.0.1:{unused_tcp_port}") as refused:
        tried = refused.connection._backoff = HeldLog()
        await until(lambda: len(tried.seconds) >= 2)
    async with Stand(server.url) as stand:
        stood = stand.connection._backoff = HeldLog()
        await until(lambda: stand.handler.of("pong"))
        stand.connection.drop("given up")
        await until(lambda: stood.seconds)

    assert not any(tried.seconds)
    assert stood.seconds[0] >= 1  # the first ping goes out then
