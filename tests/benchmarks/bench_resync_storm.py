"""How long 800 lost books of USD-M wait for their snapshots, and that the venue refuses none.

The scheduler and the client are the producers' own, with half of the venue's 2,400 weight a minute; the simulator's
REST answers over real sockets, counts weight as the venue does and would refuse with 429. It lists 50 symbols, so each
stands for 16 books. Takes about a minute, nearly all of it waiting for weight.

The least that can be: 50 levels weigh 2, 800 x 2 = 1,600; 1,200 go at once and 400 when the first are a minute old.
With 1000 levels (weight 20) it were 16,000, or 13 minutes.
"""

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from mts_stream.errors import VenueError
from mts_stream.exchanges.venue import BookSnapshot, RestRequest, VenueMarket
from mts_stream.settings import load_settings
from producers.rest import RestClient, rest_clients
from producers.resync import SnapshotScheduler
from producers.simulator.settings import SimulatorSettings
from producers.simulator.simulator import Simulator
from producers.simulator.universe import PAIRS_MAX

BOOKS = 800
GIVE_UP_S = 300.0
PERP = "binance", "perp"


class Lost:
    """A book that has lost its step until a snapshot comes; `symbol` is a listed one with a number behind it."""

    awaits_snapshot = True

    def __init__(self, symbol: str) -> None:
        self.symbol, self.is_synced = symbol, False
        self.began_s, self.waited_s, self.levels = time.monotonic(), 0.0, 0

    def keep_frames(self, wanted: bool) -> None:
        """There are none."""

    def on_snapshot(self, snapshot: BookSnapshot, body: bytes, now_ns: int) -> None:
        """Stand again."""
        if not self.is_synced:
            self.waited_s, self.levels = time.monotonic() - self.began_s, len(snapshot.bids)
        self.is_synced = True


class Numbered:
    """USD-M with as many symbols as one likes: what is behind the `#` is no part of the venue's name."""

    def __init__(self, market: VenueMarket) -> None:
        self._market = market

    def __getattr__(self, name: str) -> Any:
        return getattr(self._market, name)

    def snapshot_request(self, symbol: str, depth: int = 0) -> RestRequest:
        """The listed symbol's."""
        return self._market.snapshot_request(symbol.partition("#")[0], depth)


async def test_a_storm_drains(capsys: pytest.CaptureFixture[str]) -> None:
    """800 books, lost at once; the table says when they stood, and with how many levels."""
    async with Simulator(SimulatorSettings(pairs=PAIRS_MAX)) as simulator, aiohttp.ClientSession() as session:
        settings = load_settings(**{name.lower(): url for name, url in simulator.urls.items()})
        clients = rest_clients(settings, session)
        client = next(c for c in clients if (c.market.venue, c.market.market) == PERP)
        symbols = [leg.listing.symbol for leg in simulator.market.legs.values() if leg.listing.leg == PERP]
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
