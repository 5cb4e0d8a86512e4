"""One websocket kept open: connects, reads, pings, keeps the venue's limits, and begins anew when it ends.

With its socket the only importer of websockets. Reading never waits for Kafka: every frame goes straight to the feed,
which cannot block. A connection ends at once for its feed (`down` in the log) and only then for the socket.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from mts_stream.logs import get_logger
from mts_stream.metrics import ATTEMPTS_DELAYED
from producers.backoff import Backoff
from producers.clock import SlewedClock
from producers.pacing import AttemptPace, MessagePace
from producers.socket import MessageSocket

OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 1.0
MESSAGE_BYTES_MAX = 4 * 2**20
OUTBOX_MESSAGES_MAX = 4096
TICK_S = 1.0
WATCHES_A_TICK = 4  # looks at the peer's silence: a lost one has to be seen within 3 s
KEEP_FREE_FOR_PONG = 1  # of the venue's allowed messages a second: pings and pongs count too
KEEP_FREE_FOR_PING = KEEP_FREE_FOR_PONG + 1
ROOM_POLL_S = 0.2

log = get_logger(__name__)


class Handler(Protocol):
    """What a connection tells its feed."""

    def on_open(self, link: "Connection", gen: int, now_ns: int) -> None:
        """The socket stands."""

    def on_message(self, message: bytes, received_ns: int) -> None:
        """A text or binary message came."""

    def on_pong(self, now_ns: int, pinged_ns: int) -> None:
        """The answer to a ping came."""

    def on_watch(self, now_ns: int) -> None:
        """A part of a second passed, open or not: see whether the peer lives."""

    def on_second(self, now_ns: int) -> None:
        """A second passed, open or not."""

    def on_close(self, reason: str, now_ns: int) -> None:
        """The connection is lost or given up."""


class Connection:
    """Keeps one socket open until `close`.

    `attempts` is shared by all connections to the host; `has_room` holds it back while Kafka cannot take what it
    would bring.
    """

    def __init__(
        self, name: str, url: str, handler: Handler, clock: SlewedClock, messages_per_s: float, attempts: AttemptPace,
        has_room: Callable[[], bool] = lambda: True, backoff: Backoff | None = None,
    ) -> None:  # fmt: skip
        self.name, self.url = name, url
        self.is_open = False
        self.gen = 0
        self._handler, self._clock, self._has_room = handler, clock, has_room
        self._messages_per_s, self._pace = messages_per_s, MessagePace(messages_per_s)
        self._attempts, self._told_delay = attempts, False
        self._backoff = backoff or Backoff()
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue(OUTBOX_MESSAGES_MAX)
        self._ended = asyncio.Event()
        self._is_closing = False

    def send(self, message: bytes) -> None:
        """Queue a message; a queue that is full ends the connection."""
        try:
            self._outbox.put_nowait(message)
        except asyncio.QueueFull:
            self.drop("outbox_full")

    def drop(self, reason: str) -> None:
        """End this connection now: its feed hears it at once, the socket closes behind it."""
        if not self.is_open:
            return
        self.is_open = False
        tell = log.info if self._is_closing else log.warning
        tell("connection down", conn=self.name, gen=self.gen, reason=reason)
        self._handler.on_close(reason, self._clock.now_ns())
        self._ended.set()

    def now_ns(self) -> int:
        """Its clock, Unix ns."""
        return self._clock.now_ns()

    def close(self, reason: str) -> None:
        """End for good."""
        self._is_closing = True
        self.drop(reason)

    async def run(self) -> None:
        """Connect, and again whenever it ends, until `close`; what the feed raises at a second ends it too."""
        async with asyncio.TaskGroup() as group:
            ticker = group.create_task(self._tick())
            try:
                await self._keep_open()
            finally:
                self.drop("stopped")
                ticker.cancel()

    async def _keep_open(self) -> None:
        while not self._is_closing:
            await self._wait_for_attempt()
            self._backoff.held(await self._attempt())
            if not self._is_closing:
                await asyncio.sleep(self._backoff.next_s())

    async def _wait_for_attempt(self) -> None:
        while not self._has_room() and not self._is_closing:  # noqa: ASYNC110  room is counted, nobody signals it
            await asyncio.sleep(ROOM_POLL_S)
        wait_s = self._attempts.reserve(asyncio.get_running_loop().time())
        if not wait_s:
            return
        ATTEMPTS_DELAYED.labels(self._attempts.host).inc()
        if not self._told_delay:
            self._told_delay = True
            log.warning(
                "waiting: the venue limits attempts to connect", conn=self.name, host=self._attempts.host,
                wait_s=round(wait_s, 1),
            )  # fmt: skip
        await asyncio.sleep(wait_s)

    async def _attempt(self) -> float:
        """One connection from opening to its end; the seconds that it stood."""
        if self._is_closing:
            return 0.0
        try:
            ws = await connect(
                self.url, compression=None, max_size=MESSAGE_BYTES_MAX, ping_interval=None, proxy=None,
                open_timeout=OPEN_TIMEOUT_S, close_timeout=CLOSE_TIMEOUT_S, create_connection=MessageSocket,
            )  # fmt: skip
        except (OSError, TimeoutError, WebSocketException) as error:
            log.warning("cannot connect", conn=self.name, url=self.url, error=f"{type(error).__name__}: {error}")
            return 0.0
        opened_s = asyncio.get_running_loop().time()
        try:
            if not self._is_closing:
                await self._serve(ws)
        finally:
            await ws.close()
        return asyncio.get_running_loop().time() - opened_s

    async def _serve(self, ws: ClientConnection) -> None:
        now_ns = self._clock.now_ns()
        self.gen = max(self.gen + 1, now_ns // 1_000_000)
        self._outbox = asyncio.Queue(OUTBOX_MESSAGES_MAX)
        self._pace = MessagePace(self._messages_per_s)
        self._ended.clear()
        self.is_open, self._told_delay = True, False
        log.info("connection up", conn=self.name, gen=self.gen, url=self.url)
        self._handler.on_open(self, self.gen, now_ns)
        tasks = [asyncio.create_task(work) for work in (self._read(ws), self._write(ws), self._ping(ws))]
        ended = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
            self.drop(_reason([task for task in tasks if task.done()]))
        finally:
            for task in (*tasks, ended):
                task.cancel()
            results = await asyncio.gather(*tasks, ended, return_exceptions=True)
        _raise_bugs(results)

    async def _read(self, ws: ClientConnection) -> None:
        assert isinstance(ws, MessageSocket), "made by create_connection"
        await ws.hand_to(self._take, self._clock.now_ns)

    def _take(self, message: bytes, received_ns: int) -> None:
        if self.is_open:
            self._handler.on_message(message, received_ns)

    async def _write(self, ws: ClientConnection) -> None:
        while True:
            message = await self._outbox.get()
            await self._take_turn(KEEP_FREE_FOR_PING)
            await ws.send(message, text=True)

    async def _ping(self, ws: ClientConnection) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            await self._take_turn(KEEP_FREE_FOR_PONG)
            pinged_ns = self._clock.now_ns()
            asyncio.ensure_future(await ws.ping()).add_done_callback(partial(self._on_pong, pinged_ns))

    async def _take_turn(self, keep_free: int) -> None:
        now_s = asyncio.get_running_loop().time
        while wait_s := self._pace.wait_s(now_s(), keep_free):  # noqa: ASYNC110  the pace has a time, not an event
            await asyncio.sleep(wait_s)
        self._pace.sent(now_s())

    def _on_pong(self, pinged_ns: int, pong: "asyncio.Future[float]") -> None:
        if self.is_open and not pong.cancelled() and pong.exception() is None:
            self._handler.on_pong(self._clock.now_ns(), pinged_ns)

    async def _tick(self) -> None:
        """Seconds and their parts on the loop's clock, without drift."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        for watch in count(1):
            due_s = max(due_s + TICK_S / WATCHES_A_TICK, loop.time())
            await asyncio.sleep(due_s - loop.time())
            self._handler.on_watch(self._clock.now_ns())
            if watch % WATCHES_A_TICK == 0:
                self._handler.on_second(self._clock.now_ns())


def _reason(done: "list[asyncio.Task[None]]") -> str:
    """Why the socket ended, in a word and the closing code."""
    for task in done:
        error = task.exception()
        if isinstance(error, ConnectionClosed):
            return f"closed: {error}"
        if error is not None:
            return f"failed: {type(error).__name__}"
    return "closed"


def _raise_bugs(results: Sequence[BaseException | bool | None]) -> None:
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, OSError | WebSocketException):
            raise result
