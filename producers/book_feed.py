"""One book from socket to log: every frame as it came, keyframes when due, snapshots asked for when needed.

While a connection is changed there are two of a book. The new one is silent until it stands where the old one stands;
then it takes the lead with a keyframe, and the old one is silent from there on.
"""

from collections.abc import Callable
from zlib import crc32

from mts_stream.exchanges.venue import BookSnapshot, BookTop, DepthFrame, VenueMarket
from mts_stream.logs import get_logger
from mts_stream.metrics import RESYNCS
from producers.books import RANGE_USED_MAX, BookHealth, ProducerBook
from producers.records import RecordWriter
from producers.stillness import LAG_NS_MAX, QUIET_NS, Stillness

NS_PER_S = 1_000_000_000
HEALTH_EVERY_NS = 2 * NS_PER_S
NARROW_EVERY_NS = 1 * NS_PER_S  # looks at a book of which so little is known that the market leaves it soon
FLAWED_NS_MAX = 1 * NS_PER_S
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
        self.on_change: Callable[[int, str], None] | None = None
        """Told when the book has come to stand or to be silent, or, with the reason, was found out of step."""
        self._market, self._writer, self._ask = market, writer, ask
        self._write_frame = writer.frames("depth", symbol, pair)
        self._keyframe_every_ns = keyframe_every_ns
        self._keyframe_due_ns: int | None = None
        self._health_due_ns = 0
        self._ask_due_ns: int | None = None  # while an answer is awaited: when to ask again
        self._is_asked = False  # whether a request went out since this connection began
        self.has_spoken = False
        self.is_narrow = False
        """Whether it stands on the top of the book alone, until REST tells more."""
        self._flawed_since_ns: int | None = None
        self._is_silent = False
        self._leader: BookFeed | None = None  # the same book on the connection that is being left
        self._lag, self._quiet = Stillness(), Stillness()

    @property
    def is_following(self) -> bool:
        """Whether the same book on another connection still speaks in its place."""
        return self._leader is not None

    @property
    def is_silent(self) -> bool:
        """Whether the same book on another connection speaks in its place, not yet or not any more."""
        return self._is_silent

    @property
    def is_synced(self) -> bool:
        """Whether the book stands."""
        return self.book.is_synced

    @property
    def awaits_snapshot(self) -> bool:
        """Whether a snapshot has been asked for and is still of use."""
        return self._ask_due_ns is not None

    def keep_frames(self, wanted: bool) -> None:
        """Keep the frames from now on, so that a snapshot that is asked for now can be joined to them; or no more."""
        self._is_asked |= wanted
        self.book.keep_frames(wanted)

    def await_top(self) -> None:
        """Keep the frames that its top, which comes on their own socket, can be joined to; no REST answer is meant."""
        self.book.keep_frames(True)

    def ask_again(self) -> None:
        """The request failed: ask within a second, for what else may bring the book."""
        if self._ask_due_ns is not None:
            self._ask_due_ns = 0

    def reset(self) -> None:
        """The connection is new or lost."""
        self.book.reset()
        self.has_spoken = self._is_asked = self.is_narrow = False
        self._ask_due_ns = self._keyframe_due_ns = self._flawed_since_ns = None
        self._lag.forget()
        self._quiet.forget()

    def follow(self, leader: "BookFeed") -> None:
        """Write nothing until this book stands where the leader's does."""
        self._leader, self._is_silent = leader, True

    def take_rest(self, now_ns: int) -> None:
        """The leader's connection is lost: take its book if the frames here join it, else begin as if alone."""
        if self._leader is None:
            return
        if self._can_stand:
            self._lead(self._leader, now_ns)
        if self._leader is not None:
            self._leader, self._is_silent = None, False
            if self._can_stand:
                self._ask_now(now_ns)

    def on_frame(self, frame: DepthFrame, received_ns: int) -> None:
        """Write a frame and follow it; the engine sees a gap by the frame itself."""
        if self._is_silent:
            self._follow_on(frame, received_ns)
            return
        self._write_frame(received_ns, frame.frame)
        self.has_spoken = True
        try:
            outcome = self.book.on_frame(frame)
        except ValueError as error:
            self._resync("bad_levels", received_ns, str(error))
            return
        if outcome == "replaced":
            self._ask_due_ns, self.is_narrow = None, False
            self._keyframe(received_ns)
        elif outcome == "gap":
            self._resync("gap", received_ns, f"after {frame.last_id}")
        elif outcome == "buffered" and self._ask_due_ns is None and self._market.snapshots_by_rest:
            self._ask_now(received_ns)

    def _follow_on(self, frame: DepthFrame, received_ns: int) -> None:
        """Follow a frame without a word, and take the lead where that can be."""
        if self._leader is None:
            return
        self.has_spoken = True
        try:
            if self.book.on_frame(frame) == "gap":
                self._resync("gap", received_ns, f"after {frame.last_id}")
        except ValueError as error:
            self._resync("bad_levels", received_ns, str(error))
        self._try_to_lead(received_ns)

    def _try_to_lead(self, now_ns: int) -> None:
        """Lead as soon as this book is no older than the leader's: what the leader has said is not said again."""
        if self._leader is None or not self._can_stand:
            return
        is_behind = self._leader.is_synced and self.book.newest_id < self._leader.book.last_id
        if self._lag.lasted_ns(is_behind, now_ns) >= LAG_NS_MAX or not is_behind:
            self._lead(self._leader, now_ns)

    @property
    def _can_stand(self) -> bool:
        """Whether this book stands, or has frames that may join the leader's where snapshots come by REST."""
        return self.is_synced or (self._market.snapshots_by_rest and self.has_spoken)

    def _lead(self, leader: "BookFeed", now_ns: int) -> None:
        """Speak from here on, with a keyframe first: no moment is without a book."""
        try:
            if not (self.is_synced or self.book.join(leader.book)):
                return
        except ValueError as error:  # the leader goes on, and finds out by itself what it cannot read
            if not self._market.snapshots_by_rest:
                self._resync("bad_levels", now_ns, str(error))
            return
        leader._is_silent = True
        leader._tell(now_ns, "")
        self._leader, self._is_silent = None, False
        self._ask_due_ns = None
        self._keyframe(now_ns)
        if leader.is_narrow:  # it waits for more, and its connection ends
            self.is_narrow = True
            self._ask_now(now_ns)

    def on_snapshot(self, snapshot: BookSnapshot, body: bytes, now_ns: int) -> None:
        """A REST answer came: keep it for audit, and write the merged book where it joins the frames.

        One to an earlier connection's request is left: it may be from before a restart, with higher ids than all that
        comes now, and then nothing would ever contradict it.
        """
        if not self._writer.is_open or self._is_silent:
            return
        if not self._is_asked:
            if not self.is_synced:
                self._ask_due_ns = now_ns if self.has_spoken else None
            return
        self._ask_due_ns = None
        self._writer.record("depth", "snapshot", self.symbol, self.pair, now_ns, body)
        try:
            if self.book.on_snapshot(snapshot):
                self.is_narrow = False
                self._keyframe(now_ns)
            elif not self.book.is_synced:
                self._ask_due_ns = now_ns + MISFIT_WAIT_NS
        except ValueError as error:
            self._resync("bad_levels", now_ns, str(error))

    def on_top(self, top: BookTop, now_ns: int) -> bool:
        """The top of the book came on the socket that its frames come on; whether the book stands on it now."""
        snapshot = top.snapshot
        if not (self._writer.is_open and snapshot.bids and snapshot.asks) or self._is_silent:
            return False
        self._writer.record("depth", "snapshot", self.symbol, self.pair, now_ns, top.frame)
        try:
            if not self.book.on_snapshot(snapshot):
                self.await_top()
                return False
            self._ask_due_ns, self.is_narrow = None, True
            self._keyframe(now_ns)
        except ValueError as error:
            self._resync("bad_levels", now_ns, str(error))
            return False
        return True

    def on_second(self, now_ns: int) -> None:
        """Write what is due, look at the book's health, ask again for what did not come."""
        if self._is_silent:
            self._wait_on(now_ns)
            return
        self._look(now_ns)

    def _wait_on(self, now_ns: int) -> None:
        """A book that says nothing on either connection has nothing to join, and is where it was."""
        leader = self._leader
        if leader is None:
            return
        is_quiet = self._quiet.lasted_ns((self.has_spoken, leader.book.last_id), now_ns) >= QUIET_NS
        if is_quiet and self._market.snapshots_by_rest:
            self._lead(leader, now_ns)
        else:
            self._try_to_lead(now_ns)

    def refresh(self, now_ns: int) -> None:
        """Write the whole book, due or not, if it stands."""
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
            self._health_due_ns = now_ns + (NARROW_EVERY_NS if self.is_narrow else HEALTH_EVERY_NS)
            self._check_health(now_ns)

    def _check_health(self, now_ns: int) -> None:
        health = self.book.health()
        if health.is_crossed or health.is_empty_side:
            if self._flawed_since_ns is None:
                self._flawed_since_ns = now_ns
            if self._is_void(health, now_ns - self._flawed_since_ns):
                self._flawed_since_ns = None
                self.book.reset()
                self._resync("crossed" if health.is_crossed else "exhausted", now_ns, "")
                return
        elif self._flawed_since_ns is not None:
            self._flawed_since_ns = None
            self._keyframe(now_ns)  # the engine's book stays invalid until one comes
        is_awaited = self._ask_due_ns is not None and now_ns < self._ask_due_ns
        if health.range_used >= RANGE_USED_MAX and not is_awaited:
            if self._ask_due_ns is None and not self.is_narrow:
                log.info(
                    "known range half used", venue=self._market.venue, market=self._market.market, symbol=self.symbol
                )
            self._ask_now(now_ns)

    def _is_void(self, health: BookHealth, flawed_ns: int) -> bool:
        """Whether a flawed book has to begin anew; one whose market has left the known range may be met by it again."""
        if health.is_empty_side and health.range_used >= 1:
            return self.is_narrow
        return flawed_ns > FLAWED_NS_MAX

    def _resync(self, reason: str, now_ns: int, detail: str) -> None:
        self.resyncs += 1
        self._tell(now_ns, reason)
        RESYNCS.labels(self._market.venue, self._market.market, reason).inc()
        log.warning(
            "book out of step", venue=self._market.venue, market=self._market.market, symbol=self.symbol,
            reason=reason, detail=detail, conn=self._writer.conn,
        )  # fmt: skip
        self._ask_now(now_ns)

    def _ask_now(self, now_ns: int) -> None:
        self._ask_due_ns = now_ns + ASK_AGAIN_NS
        self._ask(self)

    def _keyframe(self, now_ns: int) -> None:
        keyframe = self.book.keyframe()
        self._tell(now_ns, "")
        self._writer.record(
            "depth", "keyframe", self.symbol, self.pair, now_ns, keyframe.frame, keyframe.known_range
        )  # fmt: skip
        first = self._keyframe_due_ns is None
        self._keyframe_due_ns = now_ns + (self._spread() if first else self._keyframe_every_ns)

    def _tell(self, now_ns: int, reason: str) -> None:
        if self.on_change is not None:
            self.on_change(now_ns, reason)

    def _spread(self) -> int:
        """The second keyframe comes early by a part that differs from book to book: they shall not come at once."""
        return self._keyframe_every_ns * (50 + crc32(self.symbol.encode()) % 50) // 100
