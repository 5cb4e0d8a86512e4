"""Snapshots for books that need one: one scheduler per venue and market, the pairs of the highest turnover first."""

import asyncio
from collections.abc import Callable, Mapping

from mts_stream.errors import VenueError
from mts_stream.logs import get_logger
from producers.backoff import Backoff
from producers.book_feed import BookFeed
from producers.rest import RestClient

REQUESTS_AT_ONCE = 4

log = get_logger(__name__)


class SnapshotScheduler:
    """Fetches one snapshot per book at a time, within the client's budget.

    A book whose fetch failed waits, ever longer, by itself, and its worker as long as a venue fails everybody.
    """

    def __init__(self, rest: RestClient, ranks: Mapping[str, int], now_ns: Callable[[], int]) -> None:
        self._rest, self._ranks, self._now_ns = rest, ranks, now_ns
        self._queue: asyncio.PriorityQueue[tuple[int, str]] = asyncio.PriorityQueue()
        self._wanted: dict[str, BookFeed] = {}
        self._backoffs: dict[str, Backoff] = {}

    @property
    def waiting(self) -> int:
        """Books whose snapshot is asked for and not there yet: what bounds the queue."""
        return len(self._wanted)

    def request(self, book: BookFeed) -> None:
        """Ask for a book's snapshot; while one is on its way it goes to whoever asked last."""
        is_on_its_way = book.symbol in self._wanted
        self._wanted[book.symbol] = book
        if is_on_its_way:
            return
        self._queue.put_nowait((self._ranks.get(book.symbol, len(self._ranks)), book.symbol))

    async def run(self) -> None:
        """Fetch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(REQUESTS_AT_ONCE):
                group.create_task(self._work())

    async def _work(self) -> None:
        backoff = Backoff()
        while True:
            rank, symbol = await self._queue.get()
            try:
                await self._fetch(symbol)
                backoff = Backoff()
                self._backoffs.pop(symbol, None)
            except VenueError as error:
                log.warning("no snapshot", symbol=symbol, error=str(error))
                self._retry_later(rank, symbol)
                await asyncio.sleep(backoff.next_s())

    def _retry_later(self, rank: int, symbol: str) -> None:
        wait_s = self._backoffs.setdefault(symbol, Backoff()).next_s()
        asyncio.get_running_loop().call_later(wait_s, self._queue.put_nowait, (rank, symbol))

    async def _fetch(self, symbol: str) -> None:
        market = self._rest.market
        body, snapshot = await self._rest.get_with_body(market.snapshot_request(symbol), market.parse_snapshot)
        self._wanted.pop(symbol).on_snapshot(snapshot, body, self._now_ns())
