"""Snapshots for books that need one: one scheduler per venue and market, the pairs of the highest turnover first.

A storm of n books (all of them after a restart of the venue) asks for the most levels a side whose weight, n times,
fits into one window of the budget, so that it drains within about a minute:

    800 books of USD-M, half of 2,400 a minute:  1000 levels 20 x 800 = 16,000 (13 min)   50 levels 2 x 800 = 1,600

Those that got fewer levels are widened behind it, with what the books that stand still leave of the budget.
Where a venue shows the top of its books on the socket, whoever finds the desk short stands on that (seeding.py) and
waits here among those that stand.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

from mts_stream.errors import VenueError
from mts_stream.log_limits import Limited
from mts_stream.logs import get_logger
from producers.backoff import Backoff
from producers.book_feed import BookFeed
from producers.rest import RestClient

REQUESTS_AT_ONCE = 4
RESERVE_SHARE = 0.5  # of the budget, kept from books that stand and only want to know more
ROOM_POLL_S = 1.0
TELL_EVERY_S = 10.0

log = get_logger(__name__)

_Entry = tuple[int, str]


class SnapshotScheduler:
    """Fetches one snapshot per book at a time, within the client's budget.

    A book whose fetch failed waits, ever longer, by itself, and its worker as long as a venue fails everybody.
    """

    def __init__(self, rest: RestClient, ranks: Mapping[str, int], now_ns: Callable[[], int]) -> None:
        self._rest, self._ranks, self._now_ns = rest, ranks, now_ns
        self._lost: asyncio.PriorityQueue[_Entry] = asyncio.PriorityQueue()
        self._standing: asyncio.PriorityQueue[_Entry] = asyncio.PriorityQueue()
        self._wanted: dict[str, BookFeed] = {}
        self._widening: dict[str, BookFeed] = {}
        self._storm_books = 0
        self._backoffs: dict[str, Backoff] = {}
        self._failures = Limited(every_s=TELL_EVERY_S)

    @property
    def waiting(self) -> int:
        """Books without a valid copy whose snapshot is asked for and not there yet: what bounds the queue."""
        return len(self._wanted)

    @property
    def is_short(self) -> bool:
        """Whether the weight that is left does not bring all levels to everybody who waits and one more."""
        budget, now_s = self._rest.budget, time.time()
        weight = self._rest.market.snapshot_request("").weight * (len(self._wanted) + 1)
        return weight > budget.left(now_s) or budget.wait_s(now_s, weight) > 0

    @property
    def widening(self) -> int:
        """Books that stand and wait for a snapshot of more levels, or of fresh ones."""
        return len(self._widening)

    def request(self, book: BookFeed) -> None:
        """Ask for a book's snapshot; while one is on its way it goes to whoever asked last."""
        if book.is_synced:
            self._widen(book)
            return
        is_on_its_way = book.symbol in self._wanted
        self._wanted[book.symbol] = book
        if is_on_its_way:
            return
        self._storm_books = max(self._storm_books, len(self._wanted))
        self._lost.put_nowait((self._rank(book.symbol), book.symbol))

    async def run(self) -> None:
        """Fetch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(REQUESTS_AT_ONCE):
                group.create_task(self._serve_lost())
            group.create_task(self._serve_standing())

    def _widen(self, book: BookFeed) -> None:
        if book.symbol in self._wanted:
            return
        is_on_its_way = book.symbol in self._widening
        self._widening[book.symbol] = book
        if is_on_its_way:
            return
        self._standing.put_nowait((self._rank(book.symbol), book.symbol))

    def _rank(self, symbol: str) -> int:
        return self._ranks.get(symbol, len(self._ranks))

    async def _serve_lost(self) -> None:
        backoff = Backoff()
        while True:
            _, symbol = await self._lost.get()
            book = self._wanted[symbol]
            if not book.awaits_snapshot:
                self._done(symbol)  # its connection was lost, or its symbol left; it asks anew when it is back
                if book.is_narrow:
                    self._widen(book)
                continue
            try:
                await self._fetch_lost(symbol)
                backoff = Backoff()
                self._backoffs.pop(symbol, None)
            except VenueError as error:
                self._tell(symbol, error)
                self._wanted[symbol].ask_again()
                self._retry_later(self._lost, symbol)
                await asyncio.sleep(backoff.next_s())

    async def _fetch_lost(self, symbol: str) -> None:
        depth = self._affordable_depth()
        await self._fetch(symbol, depth, self._wanted)
        book = self._wanted[symbol]
        self._done(symbol)
        if book.is_synced and (book.is_narrow or depth < self._rest.market.snapshot_depths[0]):
            self._widen(book)

    def _done(self, symbol: str) -> None:
        del self._wanted[symbol]
        if not self._wanted:
            self._storm_books = 0

    def _affordable_depth(self) -> int:
        """The most levels that everybody who waits, or waited since the storm began, can have in one window."""
        market, allowed = self._rest.market, self._rest.budget.allowed
        for depth in market.snapshot_depths:
            if market.snapshot_request("", depth).weight * self._storm_books <= allowed:
                return depth
        return market.snapshot_depths[-1]

    async def _serve_standing(self) -> None:
        backoff = Backoff()
        while True:
            _, symbol = await self._standing.get()
            await self._until_calm()
            try:
                if self._widening[symbol].is_synced:  # else it asks for itself
                    await self._fetch(symbol, self._rest.market.snapshot_depths[0], self._widening)
                del self._widening[symbol]
                backoff = Backoff()
            except VenueError as error:
                self._widening[symbol].keep_frames(False)
                self._tell(symbol, error)
                self._retry_later(self._standing, symbol)
                await asyncio.sleep(backoff.next_s())

    async def _until_calm(self) -> None:
        """Wait until nobody lost waits, and the budget has more room than the reserve."""
        budget = self._rest.budget
        weight = self._rest.market.snapshot_request("").weight
        enough = min(budget.allowed * RESERVE_SHARE + weight, budget.allowed)
        while self._wanted or budget.left(time.time()) < enough:  # noqa: ASYNC110  weight comes back by time alone
            await asyncio.sleep(ROOM_POLL_S)

    def _tell(self, symbol: str, error: VenueError) -> None:
        left_out = self._failures.due()
        if left_out is not None:
            log.warning("no snapshot", symbol=symbol, error=str(error), waiting=self.waiting, failed_before=left_out)

    def _retry_later(self, queue: "asyncio.PriorityQueue[_Entry]", symbol: str) -> None:
        wait_s = self._backoffs.setdefault(symbol, Backoff()).next_s()
        asyncio.get_running_loop().call_later(wait_s, queue.put_nowait, (self._rank(symbol), symbol))

    async def _fetch(self, symbol: str, depth: int, books: Mapping[str, BookFeed]) -> None:
        market = self._rest.market
        request = market.snapshot_request(symbol, depth)
        books[symbol].keep_frames(True)
        body, snapshot = await self._rest.get_with_body(request, market.parse_snapshot)
        books[symbol].on_snapshot(snapshot, body, self._now_ns())
