"""Books of one connection that stand on the top of their book from the socket while REST has no weight for them.

    asked ... subscribed, so many at once ... the top joins the frames: the book stands ... unsubscribed
       \\------------------ nothing within SEED_NS_MAX: asked of REST too, whichever comes first

A stream of tops costs no weight and speaks within its 100 ms, but only of a book that moves, and knows little of it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

from mts_stream.exchanges.venue import BookTop, SocketRoute, VenueMarket
from mts_stream.metrics import BOOKS_SEEDED
from producers.book_feed import BookFeed
from producers.subscriptions import Subscriptions

SEEDS_AT_ONCE = 200  # streams beside the books' own: one request to the venue
SEED_NS_MAX = 3_000_000_000


@dataclass(slots=True)
class _Seed:
    """A book that waits for its top, and when it has waited too long."""

    book: BookFeed
    due_ns: int
    is_late: bool = False


class Seeding:
    """Told who wants a top, what came and the time; subscribes, ends it, and hands late books on to `desk`."""

    def __init__(
        self, market: VenueMarket, route: SocketRoute, subscriptions: Subscriptions, desk: Callable[[BookFeed], None]
    ) -> None:
        self._market, self._subscriptions, self._desk = market, subscriptions, desk
        self._route = SocketRoute(route.name, route.path, (route.top_channel,))
        self._is_offered = bool(route.top_channel)
        self._waiting: dict[str, _Seed] = {}
        self._open: dict[str, _Seed] = {}

    @property
    def books(self) -> int:
        """Books that wait for their top, subscribed to or not yet."""
        return len(self._waiting) + len(self._open)

    def ask(self, book: BookFeed, now_ns: int) -> bool:
        """Get a book its top; False where there is none to be had, or none came in time."""
        if not self._is_offered:
            return False
        seed = self._open.get(book.symbol) or self._waiting.get(book.symbol)
        if seed is None:
            seed = self._waiting[book.symbol] = _Seed(book, now_ns + SEED_NS_MAX)
            book.await_top()
        return not seed.is_late

    def on_top(self, top: BookTop, now_ns: int) -> bool:
        """A top came; False where nobody waits for it."""
        seed = self._open.get(top.symbol)
        if seed is None or not seed.book.awaits_snapshot:
            return False
        if seed.book.on_top(top, now_ns):
            BOOKS_SEEDED.labels(self._market.venue, self._market.market).inc()
            self._desk(seed.book)
        return True

    def on_watch(self, now_ns: int) -> None:
        """A part of a second has passed: end what is served or lost, begin with the next, hand on what is late."""
        self._waiting = {symbol: seed for symbol, seed in self._waiting.items() if seed.book.awaits_snapshot}
        served = [symbol for symbol, seed in self._open.items() if not seed.book.awaits_snapshot]
        for symbol in served:
            del self._open[symbol]
        if served:
            self._subscriptions.remove(self._topics(served))
        room = min(SEEDS_AT_ONCE - len(self._open), self._subscriptions.room)
        begun = {symbol: self._waiting[symbol] for symbol in islice(self._waiting, max(0, room))}
        for symbol in begun:
            del self._waiting[symbol]
        self._open |= begun
        if begun:
            self._subscriptions.add(self._topics(begun))
        self._hand_on(now_ns)

    def reset(self) -> None:
        """The connection is new or lost."""
        self._waiting.clear()
        self._open.clear()

    def _hand_on(self, now_ns: int) -> None:
        for seed in (*self._open.values(), *self._waiting.values()):
            if now_ns >= seed.due_ns and not seed.is_late:
                seed.is_late = True
                self._desk(seed.book)

    def _topics(self, symbols: Iterable[str]) -> list[str]:
        return [topic for symbol in symbols for topic in self._market.topics(self._route, symbol)]
