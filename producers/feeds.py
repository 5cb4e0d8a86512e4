"""One connection's traffic: its symbols, what its messages mean, its status and its quality. No sockets here."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import count
from typing import Protocol

from mts_stream.exchanges.venue import Control, DepthFrame, SocketRoute, VenueMarket
from mts_stream.logs import get_logger
from mts_stream.metrics import CONNECTIONS_UP, DEAD_LETTERS, IGNORED_FRAMES, RECONNECTS, RESYNCS
from mts_stream.wire import topics
from mts_stream.wire.codec import dead_letter
from producers.book_feed import NS_PER_S, BookFeed
from producers.quality import ConnectionQuality
from producers.records import Outlet, RecordWriter
from producers.tickers import TickerFeed

ALIVE_NS_MAX = 2 * NS_PER_S
DEAD_NS_MAX = 5 * NS_PER_S
FIRST_FRAME_NS = 5 * NS_PER_S
FIRST_FRAME_NS_MAX = 60 * NS_PER_S

log = get_logger(__name__)


class Link(Protocol):
    """The open connection as its feed sees it."""

    def send(self, message: bytes) -> None:
        """Queue a message, sent within the venue's rate."""

    def drop(self, reason: str) -> None:
        """End this connection now; a new one is opened."""


class SnapshotDesk(Protocol):
    """Who fetches REST snapshots."""

    def request(self, book: BookFeed) -> None:
        """Fetch a snapshot for a book, once, and hand it over."""


class Feed:
    """Everything between one socket and the log; told what came and when, writes records and asks the link."""

    def __init__(
        self, market: VenueMarket, route: SocketRoute, writer: RecordWriter, outlet: Outlet,
        pairs: Mapping[str, str], desk: SnapshotDesk, keyframe_interval_s: float,
    ) -> None:  # fmt: skip
        self.market, self.route, self.writer = market, route, writer
        self.quality = ConnectionQuality(writer.conn, market.venue, market.market)
        self._outlet, self._desk = outlet, desk
        every_ns = int(max(1.0, keyframe_interval_s - 1) * NS_PER_S)
        self.books = {
            symbol: BookFeed(market, symbol, pair, writer, self._ask_snapshot, every_ns)
            for symbol, pair in (pairs.items() if "depth" in route.channels else ())
        }
        self.tickers = {
            symbol: TickerFeed(market, symbol, pair, writer, every_ns)
            for symbol, pair in (pairs.items() if "funding" in route.channels else ())
        }
        self._pairs = pairs
        self._retired: frozenset[str] = frozenset()
        self._missing: set[str] = set()
        self._missing_due_ns = 0
        self._missing_wait_ns = FIRST_FRAME_NS
        self._link: Link | None = None
        self._request_ids = count(1)
        self._heard_ns = 0
        self._heartbeat_due_ns = 0
        self._resyncs_seen = 0
        self._was_open = False
        writer.on_refused = self._on_refused

    def on_open(self, link: Link, gen: int, now_ns: int) -> None:
        """A new connection stands: say `up`, subscribe."""
        self._link, self._heard_ns = link, now_ns
        self.writer.open(gen)
        self.writer.status("up", "", now_ns)
        self._reset()
        names = self._topics_for(self._pairs.keys() - self._retired)
        self._missing = set(names)
        self._missing_wait_ns = FIRST_FRAME_NS
        self._missing_due_ns = now_ns + FIRST_FRAME_NS
        heartbeat_s = self.market.socket_limits.heartbeat_s
        self._heartbeat_due_ns = now_ns + int(heartbeat_s * NS_PER_S) if heartbeat_s else 0
        CONNECTIONS_UP.labels(self.writer.conn).set(1)
        self._subscribe(names, self.market.socket_limits.topics_per_request)

    def on_close(self, reason: str, now_ns: int) -> None:
        """The connection is lost: say `down` at once; all its books are void."""
        self.writer.close(reason, now_ns)
        self._link = None
        self._reset()
        self.quality.reconnects += 1
        CONNECTIONS_UP.labels(self.writer.conn).set(0)
        RECONNECTS.labels(self.writer.conn, reason.partition(":")[0]).inc()

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
            per_request = self.market.socket_limits.topics_per_request
            self._missing = (self._missing - set(self._topics_for(gone))) | set(self._topics_for(back))
            self._request(self.market.unsubscribe, self._topics_for(gone), per_request)
            self._subscribe(self._topics_for(back), per_request)

    def on_heard(self, now_ns: int) -> None:
        """A pong came."""
        self._heard_ns = max(self._heard_ns, now_ns)

    def on_message(self, message: bytes, received_ns: int) -> None:
        """A message of the socket came."""
        self._heard_ns = received_ns
        incoming = self.market.classify(message)
        if isinstance(incoming, Control):
            self._on_control(incoming, message)
            return
        is_depth = isinstance(incoming, DepthFrame)
        self.quality.on_frame("depth" if is_depth else "funding", len(message), received_ns, incoming.exchange_ms)
        if incoming.symbol in self._retired:
            IGNORED_FRAMES.labels(self.market.venue, "retired_symbol").inc()
            return
        if isinstance(incoming, DepthFrame):
            book = self.books.get(incoming.symbol)
            if book is not None:
                book.on_frame(incoming, received_ns)
                return
        elif (ticker := self.tickers.get(incoming.symbol)) is not None:
            ticker.on_frame(incoming, received_ns)
            return
        IGNORED_FRAMES.labels(self.market.venue, "unknown_symbol").inc()

    def on_second(self, now_ns: int) -> None:
        """A second has passed: status, keyframes, liveness, heartbeat, quality."""
        if self._link is not None:
            self._speak(now_ns)
        for book in self.books.values() if self._link is not None else ():
            book.on_second(now_ns)
        for ticker in self.tickers.values() if self._link is not None else ():
            ticker.on_second(now_ns)
        self._report(now_ns)

    def on_undelivered(self, gen: int) -> None:
        """A record of this connection did not reach Kafka: begin anew, unless that has happened meanwhile."""
        if self._link is not None and gen == self.writer.gen:
            self._link.drop("undelivered")

    def _speak(self, now_ns: int) -> None:
        silence_ns = now_ns - self._heard_ns
        if silence_ns > DEAD_NS_MAX:
            self._drop("silent")
            return
        if silence_ns <= ALIVE_NS_MAX:
            self.writer.status("alive", "", now_ns)
        if self._heartbeat_due_ns and now_ns >= self._heartbeat_due_ns:
            self._heartbeat_due_ns = now_ns + int((self.market.socket_limits.heartbeat_s or 0) * NS_PER_S)
            self._send(self.market.heartbeat(next(self._request_ids)))
        if now_ns >= self._missing_due_ns:
            self._ask_missing(now_ns)

    def _ask_missing(self, now_ns: int) -> None:
        """An ack proves nothing: subscribe again to what has not sent its first frame."""
        self._missing = {topic for topic in self._missing if not self._has_spoken(topic)}
        self._missing_wait_ns = min(2 * self._missing_wait_ns, FIRST_FRAME_NS_MAX)
        self._missing_due_ns = now_ns + self._missing_wait_ns
        if self._missing:
            conn, some = self.writer.conn, sorted(self._missing)[:5]
            log.warning("streams without a first frame", conn=conn, count=len(self._missing), some=some)
            RESYNCS.labels(self.market.venue, self.market.market, "no_first_frame").inc(len(self._missing))
            # where one unknown stream fails its whole request, each has to stand alone
            alone = not self.market.snapshots_by_rest
            self._subscribe(sorted(self._missing), 1 if alone else self.market.socket_limits.topics_per_request)

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
        venue, conn = self.market.venue, self.writer.conn
        if control.kind == "shutdown":
            self._drop("server_shutdown")
        elif control.kind == "refused":
            log.error("the venue refused a request", conn=conn, request=control.request_id, detail=control.detail)
        elif control.kind == "ignored":
            IGNORED_FRAMES.labels(venue, control.detail).inc()
        elif control.kind == "unknown":
            self._dead(control.detail, message)

    def _dead(self, detail: str, message: bytes) -> None:
        letter = dead_letter(
            origin="producer", reason="unknown_message", detail=detail, topic=None, partition=None, offset=None,
            venue=self.market.venue, stream=self.writer.conn, payload=message,
        )  # fmt: skip
        DEAD_LETTERS.labels("producer", "unknown_message").inc()
        self._outlet.send(topics.DEAD_LETTERS, self.writer.conn.encode(), letter, "dead_letter")

    def _ask_snapshot(self, book: BookFeed) -> None:
        if self.market.snapshots_by_rest:
            self._desk.request(book)
            return
        names = self._topics_of("depth", book.symbol)
        self._send(self.market.unsubscribe(names, next(self._request_ids)))
        self._send(self.market.subscribe(names, next(self._request_ids)))

    def _topics_for(self, symbols: AbstractSet[str]) -> list[str]:
        """The topics of these symbols, in the order of the pairs."""
        return [topic for name in self._pairs if name in symbols for topic in self.market.topics(self.route, name)]

    def _subscribe(self, names: Sequence[str], per_request: int) -> None:
        self._request(self.market.subscribe, names, per_request)

    def _request(self, build: Callable[[Sequence[str], int], bytes], names: Sequence[str], per_request: int) -> None:
        for start in range(0, len(names), per_request):
            self._send(build(names[start : start + per_request], next(self._request_ids)))

    def _send(self, message: bytes) -> None:
        if self._link is not None:
            self._link.send(message)

    def _drop(self, reason: str) -> None:
        if self._link is not None:
            self._link.drop(reason)

    def _on_refused(self) -> None:
        self._drop("backpressure")

    def _reset(self) -> None:
        for book in self.books.values():
            book.reset()
        for ticker in self.tickers.values():
            ticker.reset()

    def _report(self, now_ns: int) -> None:
        resyncs = sum(book.resyncs for book in self.books.values())
        self.quality.resyncs, self._resyncs_seen = resyncs - self._resyncs_seen, resyncs
        queued = getattr(self._outlet, "queued_records", 0)
        message = self.quality.message(now_ns, self.writer.gen, queued)
        self._outlet.send(topics.QUALITY, self.writer.conn.encode(), message, "quality")
