"""Which depth record may touch a book, and in what state the book is: the table of DESIGN section 4.

      keyframe, snapshot            gap, crossed, exhausted, reset, disconnected
  empty ----------------> valid ---------------------------------------------> invalid
                            ^                                                     |
                            +------------------- keyframe, snapshot -------------+

`silent` and `late` lie over a valid book and end by themselves; underneath, the sequence still guards it.
Recipes: exchanges.md 1.3 (Binance) and 2.2 (Bybit).
"""

from enum import IntEnum
from typing import Any

from mts_stream.domain.exact import DECIMALS, plain, scaled
from mts_stream.domain.kernel import Book
from mts_stream.domain.market_data import ConnectionStatus, DepthUpdate, Origin, RecordName, message_id

VALID = "valid"


class Taken(IntEnum):
    """What became of a depth record; checkpoints count by these numbers."""

    STALE = 0  # old news: nothing moved
    CONFIRMED = 1  # a keyframe that says what the book says already
    IGNORED = 2  # for a book that is not valid
    GAP = 3  # does not follow the one before: the book is not valid any more
    APPLIED = 4
    DIFFERED = 5  # a keyframe that contradicts the valid book, and wins
    RESYNCED = 6  # a keyframe or snapshot in the place of a book that was not valid


STILL = (Taken.STALE, Taken.CONFIRMED)  # no depth event (DESIGN section 4)


class SequencedBook:
    """A book that only moves by records that provably follow each other."""

    __slots__ = (
        "_applied_gen", "_applied_seq", "_restored_id", "_symbol", "applied_ns", "book", "conn", "fresh", "gen", "late",
        "market", "seen_ns", "sequence", "state", "venue",
    )  # fmt: skip

    def __init__(self, venue: str, market: str, book: Book) -> None:
        self.venue, self.market = venue, market
        self.book = book
        self.state = "empty"
        self.conn = ""
        self.gen = 0
        self.sequence = 0
        self.fresh = False  # no frame applied since the last keyframe or snapshot
        self.late = False
        self.seen_ns = 0  # event time of the last record of its connection and generation
        self.applied_ns = 0  # received time of the last record applied
        self._symbol = ""  # and the parts of its message id that are not the book's own
        self._applied_gen = self._applied_seq = 0
        self._restored_id: str | None = ""

    @property
    def applied(self) -> RecordName:
        """The last record applied; "" before."""
        if self._restored_id is not None:
            return self._restored_id
        return self.venue, self.market, self._symbol, self.conn, self._applied_gen, self._applied_seq

    @property
    def applied_id(self) -> str:
        """Its message id."""
        return message_id(self.applied)

    def is_ours(self, origin: Origin) -> bool:
        """Whether a record is of this book's connection and generation."""
        return origin.gen == self.gen and self._same_connection(origin)

    def _same_connection(self, origin: Origin) -> bool:
        """A connection is its name on its venue and market; an empty book has none."""
        if self.state == "empty" or origin.conn != self.conn:
            return False
        return origin.venue == self.venue and origin.market == self.market

    def on_status(self, status: ConnectionStatus) -> None:
        """A connection's word: a higher generation resets, `down` of its own generation disconnects."""
        origin = status.origin
        if not self._same_connection(origin):
            return
        if origin.gen > self.gen:
            self._raise_generation(origin.gen)
        if origin.gen == self.gen and status.state == "down":
            self._invalidate("disconnected")

    def on_depth(self, update: DepthUpdate, change: Any, now_ns: int, lag_max_ns: int) -> Taken:
        """Apply what may be applied; `now_ns` is the pair's event time, `lag_max_ns` 0 never calls a book late."""
        origin = update.origin
        same_conn = self._same_connection(origin)
        if same_conn and origin.gen < self.gen:
            return Taken.STALE
        if update.replaces:
            return self._replace(update, change, now_ns, lag_max_ns)
        if self.state == "empty":
            return Taken.IGNORED
        if not same_conn:
            self._invalidate("reset")
        elif origin.gen > self.gen:
            self._raise_generation(origin.gen)
        if self.state != VALID:
            return Taken.IGNORED
        return self._apply(update, change, now_ns, lag_max_ns)

    def _replace(self, update: DepthUpdate, change: Any, now_ns: int, lag_max_ns: int) -> Taken:
        origin = update.origin
        same_stream = self.is_ours(origin)
        taken = Taken.APPLIED if self.state in (VALID, "empty") else Taken.RESYNCED
        if update.is_keyframe and same_stream and self.state == VALID and self.sequence == update.last_id:
            if self.book.equals(change):
                self._know(update)
                return Taken.CONFIRMED
            taken = Taken.DIFFERED
        self.conn, self.gen, self.sequence = origin.conn, origin.gen, update.last_id
        self.state, self.fresh, self.seen_ns = VALID, True, now_ns
        self.late = self.late and same_stream
        self.book.replace(change)
        self._know(update)
        self._after_applying(update, now_ns, lag_max_ns)
        return taken

    def _apply(self, update: DepthUpdate, change: Any, now_ns: int, lag_max_ns: int) -> Taken:
        if update.last_id <= self.sequence:
            return Taken.STALE
        if not _follows(self, update):
            self._invalidate("gap")
            return Taken.GAP
        self.book.update(change)
        self.sequence, self.fresh = update.last_id, False
        self._after_applying(update, now_ns, lag_max_ns)
        return Taken.APPLIED

    def _after_applying(self, update: DepthUpdate, now_ns: int, lag_max_ns: int) -> None:
        origin = update.origin
        self.applied_ns, self._applied_gen, self._applied_seq = origin.received_ns, origin.gen, origin.seq
        self._restored_id = None
        if origin.symbol != self._symbol:  # else the text that is there stays: 800 books are not all in the cache
            self._symbol = origin.symbol
        if not update.is_keyframe and lag_max_ns and update.exchange_ns is not None:
            self.late = now_ns - update.exchange_ns > lag_max_ns
        flaw = self.book.flaw
        if flaw:
            self._invalidate(flaw)

    def _know(self, update: DepthUpdate) -> None:
        """Take over the known range of a keyframe; a book without one is known whole."""
        bounds = update.known_range
        if bounds is None:
            self.book.know(None, None)
        else:
            self.book.know(scaled(bounds[0]), scaled(bounds[1]))

    def _raise_generation(self, gen: int) -> None:
        self.gen = gen
        self._invalidate("reset")

    def _invalidate(self, state: str) -> None:
        """An invalid book keeps its state until the next keyframe or snapshot."""
        if self.state == VALID:
            self.state = state

    def snapshot(self) -> dict[str, Any]:
        """Everything that the next record needs, as JSON data."""
        book = self.book
        return {
            "state": self.state,
            "conn": self.conn,
            "gen": self.gen,
            "sequence": self.sequence,
            "fresh": self.fresh,
            "late": self.late,
            "seen_ns": self.seen_ns,
            "applied_ns": self.applied_ns,
            "applied_id": self.applied_id,
            "bids": book.bids.snapshot(),
            "asks": book.asks.snapshot(),
            "lowest_bid": None if book.lowest_bid is None else plain(book.lowest_bid, DECIMALS),
            "highest_ask": None if book.highest_ask is None else plain(book.highest_ask, DECIMALS),
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot."""
        for name in ("state", "conn", "gen", "sequence", "fresh", "late", "seen_ns", "applied_ns"):
            setattr(self, name, data[name])
        self._restored_id = data["applied_id"]
        self.book.restore(data["bids"], data["asks"])
        self.book.know(*(None if data[n] is None else scaled(data[n]) for n in ("lowest_bid", "highest_ask")))


def _follows(book: SequencedBook, update: DepthUpdate) -> bool:
    """By the ids that the venue gives: a link to the frame before, a range, or one number that rises by one."""
    if update.previous_id is not None:  # Binance USD-M, whose ids are not contiguous; the first frame straddles
        previous = update.previous_id
        return previous == book.sequence or (book.fresh and previous <= book.sequence <= update.last_id)
    if update.first_id is not None:  # Binance spot; the documented first rule is off by one
        return update.first_id <= book.sequence + 1
    return update.last_id == book.sequence + 1  # Bybit, measured on 5.8 million deltas
