"""How long 800 lost books of USD-M wait until they stand, and that the venue refuses none.

Scheduler, client, connections and feeds are the producers' own, with half of the venue's 2,400 weight a minute; the
simulator answers over real sockets, counts weight as the venue does and would refuse with 429. It lists 50 symbols, so
each stands for 16 books.

By REST alone, as where a venue has no tops of books on the socket: 50 levels weigh 2, 800 x 2 = 1,600; 1,200 go at
once and 400 when the first are a minute old, so it takes a minute. With 1000 levels (weight 20) it were 16,000, or
13 minutes. From the tops it costs no weight: 16 connections have 50 books each, lost when the producers start, and
again when the venue starts anew.
"""

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from mts_stream.errors import VenueError
from mts_stream.exchanges.venue import BookSnapshot, Control, Incoming, RestRequest, SocketRoute, VenueMarket
from mts_stream.settings import Settings, load_settings
from producers.book_feed import BookFeed
from producers.clock import SlewedClock
from producers.connection import Connection
from producers.feeds import Feed
from producers.pacing import AttemptPace
from producers.records import RecordWriter
from producers.rest import RestClient, rest_clients
from producers.resync import SnapshotScheduler
from producers.simulator.settings import SimulatorSettings
from producers.simulator.simulator import Simulator
from producers.simulator.universe import PAIRS_MAX
from tests.producers.fakes import FakeOutlet

BOOKS = 800
GIVE_UP_S = 300.0
PERP = "binance", "perp"


class Lost:
    """A book that has lost its step until a snapshot comes; `symbol` is a listed one with a number behind it."""

    awaits_snapshot = True

    def __init__(self, symbol: str) -> None:
        self.symbol, self.is_synced = symbol, False
        self.is_narrow = False
        self.began_s, self.waited_s, self.levels = time.monotonic(), 0.0, 0

    def keep_frames(self, wanted: bool) -> None:
        """There are none."""

    def ask_again(self) -> None:
        """REST is all there is."""

    def on_snapshot(self, snapshot: BookSnapshot, body: bytes, now_ns: int) -> None:
        """Stand again."""
        if not self.is_synced:
            self.waited_s, self.levels = time.monotonic() - self.began_s, len(snapshot.bids)
        self.is_synced = True


class Numbered:
    """USD-M with as many symbols as one likes: what is behind the `#` is no part of the venue's name.

    `number` is behind those of all that comes on the socket.
    """

    def __init__(self, market: VenueMarket, number: int = 0) -> None:
        self._market, self._number = market, number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._market, name)

    def snapshot_request(self, symbol: str, depth: int = 0) -> RestRequest:
        """The listed symbol's."""
        return self._market.snapshot_request(symbol.partition("#")[0], depth)

    def topics(self, route: SocketRoute, symbol: str) -> list[str]:
        """The listed symbol's."""
        return self._market.topics(route, symbol.partition("#")[0])

    def topic_symbol(self, topic: str) -> str:
        """As this connection calls it."""
        return f"{self._market.topic_symbol(topic)}#{self._number}"

    def classify(self, message: bytes) -> Incoming:
        """What the message is, of the symbol as this connection calls it."""
        incoming = self._market.classify(message)
        if not isinstance(incoming, Control):
            incoming.symbol = f"{incoming.symbol}#{self._number}"
        return incoming


async def test_a_storm_drains(capsys: pytest.CaptureFixture[str]) -> None:
    """800 books, lost at once; the table says when they stood, and with how many levels."""
    async with Simulator(SimulatorSettings(pairs=PAIRS_MAX)) as simulator, aiohttp.ClientSession() as session:
        settings = load_settings(**{name.lower(): url for name, url in simulator.urls.items()})
        clients = rest_clients(settings, session)
        client = next(c for c in clients if (c.market.venue, c.market.market) == PERP)
        symbols = listed(simulator)
        client.market = Numbered(client.market)  # type: ignore[assignment]
        refused = count_refusals(client)
        books: list[Any] = [Lost(f"{symbols[n % len(symbols)]}#{n}") for n in range(BOOKS)]
        scheduler = SnapshotScheduler(client, {book.symbol: n for n, book in enumerate(books)}, time.time_ns)
        for book in books:
            scheduler.request(book)
        running = asyncio.create_task(scheduler.run())
        async with asyncio.timeout(GIVE_UP_S):
            while scheduler.waiting:
                await asyncio.sleep(0.02)
        running.cancel()
    waits = sorted(book.waited_s for book in books)
    with capsys.disabled():
        levels = sorted({book.levels for book in books})
        half_s, most_s = waits[BOOKS // 2], waits[BOOKS * 9 // 10]
        print(f"\n{BOOKS} books, {client.budget.allowed} weight a minute, {levels} levels: half in {half_s:.1f} s,")
        print(f"90 % in {most_s:.1f} s, all in {waits[-1]:.1f} s, refused {len(refused)}")
    assert not refused


async def test_a_storm_stands_on_tops(capsys: pytest.CaptureFixture[str]) -> None:
    """800 books on real connections; the table says when they stood after the start, and after the venue's."""
    async with Simulator(SimulatorSettings(pairs=PAIRS_MAX)) as simulator, aiohttp.ClientSession() as session:
        settings = load_settings(**{name.lower(): url for name, url in simulator.urls.items()})
        client = next(c for c in rest_clients(settings, session) if (c.market.venue, c.market.market) == PERP)
        perp, refused, clock = client.market, count_refusals(client), SlewedClock()
        client.market = Numbered(perp)  # type: ignore[assignment]
        symbols = listed(simulator)
        scheduler = SnapshotScheduler(client, {}, clock.now_ns)
        connections = [
            connection(Numbered(perp, n), symbols, scheduler, settings, clock) for n in range(BOOKS // len(symbols))
        ]
        books = [book for _, feed in connections for book in feed.books.values()]
        rows, began_s = [], time.monotonic()
        tasks = [asyncio.create_task(work) for work in (scheduler.run(), *(line.run() for line, _ in connections))]
        rows.append(await storm(began_s, books, "the start"))
        simulator.inject("venue_restart", "binance")
        async with asyncio.timeout(GIVE_UP_S):
            while any(book.is_synced for book in books):
                await asyncio.sleep(0.001)
        rows.append(await storm(time.monotonic(), books, "the venue's"))
        for line, _ in connections:
            line.close("stopped")
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    with capsys.disabled():
        print(f"\n{BOOKS} books, {client.budget.allowed} weight a minute; {len(refused)} refused", *rows, sep="\n")
    assert not refused


def listed(simulator: Simulator) -> list[str]:
    """All symbols of USD-M."""
    return [leg.listing.symbol for leg in simulator.market.legs.values() if leg.listing.leg == PERP]


def connection(
    market: Any, symbols: list[str], scheduler: SnapshotScheduler, settings: Settings, clock: SlewedClock
) -> tuple[Connection, Feed]:
    """One with a book of each symbol; attempts are not held back, for so many books a quarter as many would do."""
    route, name = market.routes[0], f"storm-{market.topic_symbol('@')}"
    outlet, pairs = FakeOutlet(), {market.topic_symbol(f"{symbol}@"): symbol for symbol in symbols}
    writer = RecordWriter(outlet, name, market.venue, market.market, "depth", 1)
    feed = Feed(market, route, writer, outlet, pairs, scheduler, settings.keyframe_interval_s)
    url = f"{settings.binance_perp_ws_url}{route.path}"
    attempts = AttemptPace(name, BOOKS, 1.0)
    return Connection(name, url, feed, clock, market.socket_limits.messages_per_s, attempts), feed


async def storm(began_s: float, books: list[BookFeed], what: str) -> str:
    """A row of when the books stood, and on what."""
    stood_s: dict[int, float] = {}
    narrow = set()
    async with asyncio.timeout(GIVE_UP_S):
        while len(stood_s) < len(books):
            for number, book in enumerate(books):
                if book.is_synced and number not in stood_s:
                    stood_s[number] = time.monotonic() - began_s
                    narrow |= {number} if book.is_narrow else set()
            await asyncio.sleep(0.02)
    waits = sorted(stood_s.values())
    half_s, most_s = waits[len(waits) // 2], waits[len(waits) * 9 // 10]
    times = f"half in {half_s:.1f} s, 90 % in {most_s:.1f} s, all in {waits[-1]:.1f} s"
    return f"after {what}: {times}; {len(narrow)} on their tops"


def count_refusals(client: RestClient) -> list[VenueError]:
    """What the venue refuses from now on."""
    refused: list[VenueError] = []
    get_with_body = client.get_with_body

    async def counted(request: Any, parse: Any) -> Any:
        try:
            return await get_with_body(request, parse)
        except VenueError as error:
            refused.append(error)
            raise

    client.get_with_body = counted  # type: ignore[method-assign]
    return refused
