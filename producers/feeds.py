"""One connection's traffic: its symbols, what its messages mean, its status and its quality. No sockets here."""

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Protocol

from mts_stream.exchanges.venue import BookTop, Control, DepthFrame, FundingFrame, SocketRoute, VenueMarket
from mts_stream.logs import get_logger
from mts_stream.metrics import CONNECTIONS_UP, IGNORED_FRAMES, RECONNECTS
from mts_stream.wire import topics
from producers.book_feed import NS_PER_S, BookFeed
from producers.dead_letters import DeadLetters
from producers.quality import ConnectionQuality, Shared, nothing_shared
from producers.records import Outlet, RecordWriter
from producers.seeding import Seeding
from producers.subscriptions import Subscriptions
from producers.tickers import TickerFeed

ALIVE_NS_MAX = 2 * NS_PER_S
DEAD_NS_MAX = 9 * NS_PER_S // 4  # of listening: with the next look at it, within the 3 s that silence is allowed
LISTENED_NS_MAX = NS_PER_S // 2  # between two looks; what is longer we spent on something else
STALLED_NS = 2 * NS_PER_S  # between two of our seconds: this process slept, whatever the venue did
FAREWELL_NS = 10 * NS_PER_S  # a venue that announced its end is left by then

log = get_logger(__name__)


class Link(Protocol):
    """The open connection as its feed sees it."""

    def send(self, message: bytes) -> None:
        """Queue a message, sent within the venue's rate."""

    def drop(self, reason: str) -> None:
        """End this connection now; a new one is opened."""


class SnapshotDesk(Protocol):
    """Who fetches REST snapshots."""

    @property
    def is_short(self) -> bool:
        """Whether one more book would wait for the venue to allow its request."""

    def request(self, book: BookFeed) -> None:
        """Fetch a snapshot for a book, once, and hand it over."""


class Feed:
    """Everything between one socket and the log; told what came and when, writes records and asks the link."""

    def __init__(
        self, market: VenueMarket, route: SocketRoute, writer: RecordWriter, outlet: Outlet,
        pairs: Mapping[str, str], desk: SnapshotDesk, keyframe_interval_s: float,
        shared: Callable[[int], Shared] = nothing_shared,
    ) -> None:  # fmt: skip
        """`shared` is asked once a second for what the quality tells of queues, budget and clocks."""
        self.market, self.route, self.writer = market, route, writer
        self.quality = ConnectionQuality(writer.conn, market.venue, market.market)
        self.subscriptions = Subscriptions(market, writer.conn, self._send, self._has_spoken)
        self.seeding = Seeding(market, route, self.subscriptions, desk.request)
        self._outlet, self._desk, self._shared = outlet, desk, shared
        self._keyframe_interval_s = keyframe_interval_s
        self._dead_letters = DeadLetters(outlet, market.venue, writer.conn)
        self.books: dict[str, BookFeed] = {}
        self.tickers: dict[str, TickerFeed] = {}
        self.opened_ns = 0
        self.on_lost: Callable[[int], None] | None = None  # told before the books are void
        self._pairs: dict[str, str] = {}
        self._retired: frozenset[str] = frozenset()
        self._link: Link | None = None
        self._heard_ns = self._second_ns = 0
        self._pinged_ns = self._slept_ns = 0
        self._watched_ns = self._heard_at_watch_ns = self._silence_ns = 0
        self._farewell_due_ns: int | None = None
        writer.on_refused = self._on_refused
        self._add_parts(pairs)

    @property
    def is_up(self) -> bool:
        """Whether its connection stands."""
        return self._link is not None

    @property
    def is_leaving(self) -> bool:
        """Whether the venue has said that it will close this connection."""
        return self._farewell_due_ns is not None

    @property
    def is_following(self) -> bool:
        """Whether another connection still speaks for some of the symbols."""
        return any(part.is_following for part in self._parts())

    def heir(self, writer: RecordWriter) -> "Feed":
        """A feed of the same symbols for another connection; it takes them over one by one, each without a hole."""
        heir = Feed(
            self.market, self.route, writer, self._outlet, self._pairs, self._desk, self._keyframe_interval_s,
            self._shared,
        )  # fmt: skip
        heir._retired = self._retired
        for symbol in self._pairs.keys() - self._retired:
            if symbol in self.books:
                heir.books[symbol].follow(self.books[symbol])
            if symbol in self.tickers:
                heir.tickers[symbol].follow(self.tickers[symbol])
        return heir

    def take_rest(self, now_ns: int) -> None:
        """The other connection is lost: speak for what it still spoke for."""
        for part in self._parts():
            part.take_rest(now_ns)

    def on_open(self, link: Link, gen: int, now_ns: int) -> None:
        """A new connection stands: say `up`, subscribe."""
        self._link, self.opened_ns = link, now_ns
        self._heard_ns = self._second_ns = self._watched_ns = now_ns
        self._pinged_ns = self._slept_ns = self._silence_ns = 0
        self._farewell_due_ns = None
        self.writer.open(gen)
        self.writer.status("up", "", now_ns)
        self._reset(now_ns)
        CONNECTIONS_UP.labels(self.writer.conn).set(1)
        self.subscriptions.open(self._topics_for(self._pairs.keys() - self._retired), now_ns)

    def on_close(self, reason: str, now_ns: int) -> None:
        """The connection is lost: say `down` at once; all its books are void."""
        self.writer.close(reason, now_ns)
        self._link = self._farewell_due_ns = None
        CONNECTIONS_UP.labels(self.writer.conn).set(0)
        if self.on_lost is not None:
            self.on_lost(now_ns)
        self._reset(now_ns)
        self.quality.on_reconnect(now_ns)
        RECONNECTS.labels(self.writer.conn, reason.partition(":")[0]).inc()

    @property
    def pairs(self) -> Mapping[str, str]:
        """Symbol to pair of everything that this connection is for, traded or not."""
        return self._pairs

    def take_up(self, pairs: Mapping[str, str]) -> None:
        """Be there for more symbols; `follow` subscribes to those that are traded."""
        self._add_parts(pairs)
        self._retired |= pairs.keys()

    def _add_parts(self, pairs: Mapping[str, str]) -> None:
        market, writer = self.market, self.writer
        every_ns = int(max(1.0, self._keyframe_interval_s - 1) * NS_PER_S)
        self._pairs = {**self._pairs, **pairs}
        for symbol, pair in pairs.items():
            if "depth" in self.route.channels:
                self.books[symbol] = BookFeed(market, symbol, pair, writer, self._ask_snapshot, every_ns)
                self.books[symbol].on_change = self._on_book
            if "funding" in self.route.channels:
                self.tickers[symbol] = TickerFeed(market, symbol, pair, writer, every_ns)

    def follow(self, traded: AbstractSet[str]) -> None:
        """Only these symbols are traded: leave the others, whose streams say nothing more, and take up what is back."""
        retired = frozenset(self._pairs.keys() - traded)
        gone, back = retired - self._retired, self._retired - retired
        self._retired = retired
        for symbol in gone & self.books.keys():
            self.books[symbol].reset()
        if gone or back:
            log.info("symbols followed", conn=self.writer.conn, gone=sorted(gone), back=sorted(back))
        if self._link is not None:
            self.subscriptions.remove(self._topics_for(gone))
            self.subscriptions.add(self._topics_for(back))

    def on_pong(self, now_ns: int, pinged_ns: int) -> None:
        """The answer to a ping came."""
        self._heard_ns = max(self._heard_ns, now_ns)
        self._pinged_ns = max(self._pinged_ns, pinged_ns)

    def on_message(self, message: bytes, received_ns: int) -> None:
        """A message of the socket came."""
        self._heard_ns = received_ns
        incoming = self.market.classify(message)
        if isinstance(incoming, DepthFrame):
            self.quality.on_frame("depth", len(message), received_ns, incoming.exchange_ms)
            book = self.books.get(incoming.symbol)
            if book is not None and incoming.symbol not in self._retired:
                book.on_frame(incoming, received_ns)
            else:
                self._ignore(incoming.symbol)
        elif isinstance(incoming, FundingFrame):
            self.quality.on_frame("funding", len(message), received_ns, incoming.exchange_ms)
            ticker = self.tickers.get(incoming.symbol)
            if ticker is not None and incoming.symbol not in self._retired:
                ticker.on_frame(incoming, received_ns)
            else:
                self._ignore(incoming.symbol)
        elif isinstance(incoming, BookTop):
            self._on_top(incoming, message, received_ns)
        else:
            self._on_control(incoming, message)

    def _ignore(self, symbol: str) -> None:
        reason = "retired_symbol" if symbol in self._retired else "unknown_symbol"
        IGNORED_FRAMES.labels(self.market.venue, reason).inc()

    def _on_top(self, top: BookTop, message: bytes, received_ns: int) -> None:
        self.quality.on_frame("top", len(message), received_ns, top.exchange_ms)
        if not self.seeding.on_top(top, received_ns):
            IGNORED_FRAMES.labels(self.market.venue, "unwanted_stream").inc()

    def on_watch(self, now_ns: int) -> None:
        """A part of a second has passed: leave a peer that said nothing, not even a pong, while we listened."""
        if self._link is not None:
            self.seeding.on_watch(now_ns)
        listened_ns, self._watched_ns = min(now_ns - self._watched_ns, LISTENED_NS_MAX), now_ns
        if self._heard_ns != self._heard_at_watch_ns:
            self._heard_at_watch_ns, self._silence_ns = self._heard_ns, 0
        else:
            self._silence_ns += listened_ns
        if self._silence_ns >= DEAD_NS_MAX:
            self._drop("silent")

    def on_second(self, now_ns: int) -> None:
        """A second has passed: status, keyframes, liveness, heartbeat, quality."""
        if self._link is not None:
            self._speak(now_ns)
        # a keyframe counts as a word of its connection: of a peer that says nothing there is none (DESIGN section 4)
        for part in self._parts() if self._is_heard(now_ns) else ():
            part.on_second(now_ns)
        self._dead_letters.on_second()
        self._report(now_ns)

    def on_undelivered(self, gen: int) -> None:
        """A record of this connection did not reach Kafka: begin anew, unless that has happened meanwhile."""
        if self._link is not None and gen == self.writer.gen:
            self._link.drop("undelivered")

    def _speak(self, now_ns: int) -> None:
        if now_ns - self._second_ns > STALLED_NS:
            self._heard_ns = self._slept_ns = now_ns  # what is read now may be old: only a new pong proves life
        self._second_ns = now_ns
        if self._farewell_due_ns is not None and now_ns >= self._farewell_due_ns:
            self._drop("server_shutdown")
        else:
            if self._is_heard(now_ns):
                self.writer.status("alive", "", now_ns)
            self.subscriptions.on_second(now_ns)

    def _is_heard(self, now_ns: int) -> bool:
        if self._link is None:
            return False
        return now_ns - self._heard_ns <= ALIVE_NS_MAX and self._pinged_ns >= self._slept_ns

    def _has_spoken(self, topic: str) -> bool:
        symbol = self.market.topic_symbol(topic)
        is_funding = topic in self._topics_of("funding", symbol)
        feed = self.tickers.get(symbol) if is_funding else self.books.get(symbol)
        return feed is None or feed.has_spoken

    def _topics_of(self, channel: str, symbol: str) -> list[str]:
        if channel not in self.route.channels:
            return []
        return self.market.topics(SocketRoute(self.route.name, self.route.path, (channel,)), symbol)

    def _on_control(self, control: Control, message: bytes) -> None:
        if control.kind == "shutdown":
            self._on_farewell()
        elif control.kind == "ack":
            self.subscriptions.on_ack(control.request_id)
        elif control.kind == "listed":
            self.subscriptions.on_listed(control.request_id, control.topics)
        elif control.kind == "refused":
            self.subscriptions.on_refused(control.request_id, control.topics, control.detail)
        elif control.kind == "ignored":
            IGNORED_FRAMES.labels(self.market.venue, control.detail).inc()
        elif control.kind == "unknown":
            self.quality.on_dead_letter(self._heard_ns)
            self._dead_letters.keep("unknown_message", control.detail, message)

    def _on_farewell(self) -> None:
        if self._farewell_due_ns is None:
            log.info("the venue will close this connection", conn=self.writer.conn)
            self._farewell_due_ns = self._heard_ns + FAREWELL_NS

    def _ask_snapshot(self, book: BookFeed) -> None:
        if not self.market.snapshots_by_rest:
            self.subscriptions.renew(self._topics_of("depth", book.symbol))
        elif not (self._is_seeded(book) and self.seeding.ask(book, self._watched_ns)):
            self._desk.request(book)

    def _is_seeded(self, book: BookFeed) -> bool:
        """Whether the top of a book is better than what it has, and quicker than REST."""
        return self._desk.is_short and not book.is_silent and (book.is_narrow or not book.is_synced)

    def _topics_for(self, symbols: AbstractSet[str]) -> list[str]:
        """The topics of these symbols, in the order of the pairs."""
        return [topic for name in self._pairs if name in symbols for topic in self.market.topics(self.route, name)]

    def _send(self, message: bytes) -> None:
        if self._link is not None:
            self._link.send(message)

    def _drop(self, reason: str) -> None:
        if self._link is not None:
            self._link.drop(reason)

    def _on_refused(self) -> None:
        self._drop("backpressure")

    def _parts(self) -> Iterator[BookFeed | TickerFeed]:
        yield from self.books.values()
        yield from self.tickers.values()

    def _reset(self, now_ns: int) -> None:
        self.seeding.reset()
        for part in self._parts():
            part.reset()
        self._count_books(now_ns)

    def _on_book(self, now_ns: int, resync_reason: str) -> None:
        if resync_reason:
            self.quality.on_resync(now_ns, resync_reason)
        self._count_books(now_ns)

    def _count_books(self, now_ns: int) -> None:
        """A book counts where it speaks."""
        spoken = [book for symbol, book in self.books.items() if not (book.is_silent or symbol in self._retired)]
        self.quality.on_books(now_ns, sum(book.is_synced for book in spoken), len(spoken))

    def _report(self, now_ns: int) -> None:
        self._count_books(now_ns)
        for message in self.quality.messages(now_ns, self.writer.gen, self._shared(now_ns)):
            self._outlet.send(topics.QUALITY, self.writer.conn.encode(), message, "quality")
