"""One book from socket to log: every frame as it came, keyframes when due, snapshots asked for when needed."""

from collections.abc import Callable
from zlib import crc32

from mts_stream.exchanges.venue import BookSnapshot, DepthFrame, VenueMarket
from mts_stream.logs import get_logger
from mts_stream.metrics import RESYNCS
from producers.books import RANGE_USED_MAX, ProducerBook
from producers.records import RecordWriter

NS_PER_S = 1_000_000_000
HEALTH_EVERY_NS = 2 * NS_PER_S
CROSSED_NS_MAX = 1 * NS_PER_S
ASK_AGAIN_NS = 10 * NS_PER_S
MISFIT_WAIT_NS = 1 * NS_PER_S

log = get_logger(__name__)

AskSnapshot = Callable[["BookFeed"], None]


class BookFeed:
    """Drives a ProducerBook; `ask` gets a snapshot by whichever way the venue offers."""

    def __init__(
        self, market: VenueMarket, symbol: str, pair: str, writer: RecordWriter, ask: AskSnapshot,
        keyframe_every_ns: int,
    ) -> None:  # fmt: skip
        self.symbol, self.pair = symbol, pair
        self.book = ProducerBook(market, symbol)
        self.resyncs = 0
        self._market, self._writer, self._ask = market, writer, ask
        self._keyframe_every_ns = keyframe_every_ns
        self._keyframe_due_ns: int | None = None
        self._health_due_ns = 0
        self._ask_due_ns: int | None = None  # while an answer is awaited: when to ask again
        self.has_spoken = False
        self._crossed_since_ns: int | None = None

    @property
    def is_synced(self) -> bool:
        """Whether the book stands."""
        return self.book.is_synced

    def reset(self) -> None:
        """The connection is new or lost."""
        self.book.reset()
        self.has_spoken = False
        self._ask_due_ns = self._keyframe_due_ns = self._crossed_since_ns = None

    def on_frame(self, frame: DepthFrame, received_ns: int) -> None:
        """Write a frame and follow it; the engine sees a gap by the frame itself."""
        self._writer.record("depth", "frame", self.symbol, self.pair, received_ns, frame.frame)
        self.has_spoken = True
        try:
            outcome = self.book.on_frame(frame)
        except ValueError as error:
            self._resync("bad_levels", received_ns, str(error))
            return
        if outcome == "replaced":
            self._ask_due_ns = None
            self._keyframe(received_ns)
        elif outcome == "gap":
            self._resync("gap", received_ns, f"after {frame.last_id}")
        elif outcome == "buffered" and self._ask_due_ns is None and self._market.snapshots_by_rest:
            self._ask_now(received_ns)

    def on_snapshot(self, snapshot: BookSnapshot, body: bytes, now_ns: int) -> None:
        """A REST answer came: keep it for audit, and write the merged book where it joins the frames."""
        if not self._writer.is_open:
            return
        self._ask_due_ns = None
        self._writer.record("depth", "snapshot", self.symbol, self.pair, now_ns, body)
        try:
            if self.book.on_snapshot(snapshot):
                self._keyframe(now_ns)
            elif not self.book.is_synced:
                self._ask_due_ns = now_ns + MISFIT_WAIT_NS
        except ValueError as error:
            self._resync("bad_levels", now_ns, str(error))

    def on_second(self, now_ns: int) -> None:
        """Write what is due, look at the book's health, ask again for what did not come."""
        try:
            self._look(now_ns)
        except ValueError as error:
            self._resync("bad_levels", now_ns, str(error))

    def refresh(self, now_ns: int) -> None:
        """Write the whole book, due or not, if it stands; raises ValueError where its levels cannot be read."""
        if self.book.is_synced:
            self._keyframe(now_ns)

    def _look(self, now_ns: int) -> None:
        if not self.book.is_synced:
            if self._ask_due_ns is not None and now_ns >= self._ask_due_ns:
                self._ask_now(now_ns)
            return
        if self._keyframe_due_ns is None or now_ns >= self._keyframe_due_ns:
            self._keyframe(now_ns)
        if now_ns >= self._health_due_ns:
            self._health_due_ns = now_ns + HEALTH_EVERY_NS
            self._check_health(now_ns)

    def _check_health(self, now_ns: int) -> None:
        health = self.book.health()
        if health.is_crossed or health.is_empty_side:
            if self._crossed_since_ns is None:
                self._crossed_since_ns = now_ns
            elif now_ns - self._crossed_since_ns > CROSSED_NS_MAX:
                self._crossed_since_ns = None
                self.book.reset()
                self._resync("crossed" if health.is_crossed else "exhausted", now_ns, "")
            return
        if self._crossed_since_ns is not None:
            self._crossed_since_ns = None
            self._keyframe(now_ns)  # the engine's book stays invalid until one comes
        is_awaited = self._ask_due_ns is not None and now_ns < self._ask_due_ns
        if health.range_used >= RANGE_USED_MAX and not is_awaited:
            log.info("known range half used", venue=self._market.venue, market=self._market.market, symbol=self.symbol)
            self._ask_now(now_ns)

    def _resync(self, reason: str, now_ns: int, detail: str) -> None:
        self.resyncs += 1
        RESYNCS.labels(self._market.venue, self._market.market, reason).inc()
        log.warning(
            "book out of step", venue=self._market.venue, market=self._market.market, symbol=self.symbol,
            reason=reason, detail=detail, conn=self._writer.conn,
        )  # fmt: skip
        self._ask_now(now_ns)

    def _ask_now(self, now_ns: int) -> None:
        self._ask_due_ns = now_ns + ASK_AGAIN_NS
        self.book.await_snapshot()
        self._ask(self)

    def _keyframe(self, now_ns: int) -> None:
        keyframe = self.book.keyframe()
        self._writer.record(
            "depth", "keyframe", self.symbol, self.pair, now_ns, keyframe.frame, keyframe.known_range
        )  # fmt: skip
        first = self._keyframe_due_ns is None
        self._keyframe_due_ns = now_ns + (self._spread() if first else self._keyframe_every_ns)

    def _spread(self) -> int:
        """The second keyframe comes early by a part that differs from book to book: they shall not come at once."""
        return self._keyframe_every_ns * (50 + crc32(self.symbol.encode()) % 50) // 100
