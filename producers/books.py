"""The producer's own copy of one book: told frames and snapshots, asked for keyframes; no I/O, no clock of its own.

Every frame goes to the log as it comes, so that the engine sees a gap as soon as we do. The book decides beside it:
whether the frame follows, whether a snapshot is needed, and what the whole book is when a keyframe is due.
Its levels are in the engine's own kind of book, compiled where that is built: what it cannot read nobody can.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Raw

from mts_stream.domain.exact import DECIMALS, plain
from mts_stream.domain.kernel import Book, Side, kernel
from mts_stream.domain.market_data import KnownRange
from mts_stream.domain.order_book import Change, ScaledLevel, parse_levels
from mts_stream.domain.quoted import Level
from mts_stream.errors import BadRecordError
from mts_stream.exchanges.venue import BookImage, BookSnapshot, DepthFrame, VenueMarket

BUFFERED_FRAMES_MAX = 2048
RANGE_USED_MAX = 0.5

FrameOutcome = Literal["applied", "replaced", "stale", "buffered", "gap"]
Sides = tuple[dict[str, str], dict[str, str]]


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A whole book as it goes to the log: the venue's format, its sequence, and the range that is known."""

    frame: bytes
    last_id: int
    known_range: KnownRange | None


@dataclass(frozen=True, slots=True)
class BookHealth:
    """What a look at the book shows; `range_used` of the known range, 0 to 1."""

    is_crossed: bool
    is_empty_side: bool
    range_used: float


class ProducerBook:
    """One book in step with the venue; `is_synced` False from the start, and after a gap, until a snapshot fits."""

    def __init__(self, market: VenueMarket, symbol: str, new_book: Callable[[], Book] | None = None) -> None:
        self.market, self.symbol = market, symbol
        self.is_synced = False
        self.last_id = 0
        self._is_first = True
        self._book = (new_book or kernel().new_book)()
        self._reach = 0, 0  # from the best bid and ask of the snapshot to the ends of the range
        self._buffer: deque[DepthFrame] = deque(maxlen=BUFFERED_FRAMES_MAX)
        self._last: DepthFrame | None = None
        self._keeps = False

    @property
    def buffered_frames(self) -> int:
        """Frames that wait for a snapshot."""
        return len(self._buffer)

    @property
    def known_range(self) -> KnownRange | None:
        """Lowest bid and highest ask from which inward the book is known; None where it is known whole."""
        low, high = self._book.lowest_bid, self._book.highest_ask
        return None if low is None or high is None else (plain(low, DECIMALS), plain(high, DECIMALS))

    @property
    def newest_id(self) -> int:
        """The id of the last frame that was taken, waiting or not; 0 before any."""
        if self.is_synced:
            return self.last_id
        return self._buffer[-1].last_id if self._buffer else 0

    def reset(self) -> None:
        """The connection was lost: everything known is void."""
        self.is_synced = self._keeps = False
        self._buffer.clear()

    def on_frame(self, frame: DepthFrame) -> FrameOutcome:
        """Take a frame; raises ValueError where levels cannot be read, and then the book is not synced."""
        if frame.replaces:
            self._replace(frame)
            return "replaced"
        if not self.is_synced:
            self._wait_with(frame)
            return "buffered"
        verdict = self.market.follows(frame, self.last_id, self._is_first)
        if verdict == "applies":
            if self._keeps:
                self._buffer.append(frame)
            self._apply(frame)
            return "applied"
        if verdict == "gap":
            self.reset()
            self._wait_with(frame)
            return "gap"
        return "stale"

    def keep_frames(self, wanted: bool) -> None:
        """While a snapshot is on its way a synced book keeps its frames, so that it can be joined to them."""
        self._keeps = wanted
        if not wanted and self.is_synced:
            self._buffer.clear()

    def on_snapshot(self, snapshot: BookSnapshot) -> bool:
        """Merge a REST snapshot with the frames kept meanwhile; False where it does not join them.

        A synced book takes it to know a fresh range, and stays as it is where the snapshot does not fit. Raises
        ValueError where levels cannot be read.
        """
        return self._begin_at(snapshot.last_id, lambda: self._load(snapshot))

    def join(self, other: "ProducerBook") -> bool:
        """Go on from another connection's book of the same ids; False where the frames kept here do not follow it.

        Raises ValueError where those cannot be read.
        """
        if self.is_synced or not other.is_synced:
            return False
        return self._begin_at(other.last_id, lambda: self._copy(other))

    def _begin_at(self, last_id: int, load: Callable[[], None]) -> bool:
        """Load a book as of an id and apply the frames kept since, if all follow it and lead as far as we are."""
        frames = [frame for frame in self._buffer if frame.last_id > last_id]
        broken_at = self._first_break(last_id, frames)
        if broken_at is not None:
            if not self.is_synced:
                self._buffer = deque(frames[broken_at:], maxlen=BUFFERED_FRAMES_MAX)
            self.keep_frames(False)
            return False
        end_id = frames[-1].last_id if frames else last_id
        if self.is_synced and end_id < self.last_id:
            self.keep_frames(False)
            return False
        load()
        self.last_id, self._is_first, self.is_synced = last_id, True, True
        self._buffer.clear()
        for frame in frames:
            self._apply(frame)
        self._keeps = False
        return True

    def _first_break(self, local_id: int, frames: list[DepthFrame]) -> int | None:
        is_first = True
        for index, frame in enumerate(frames):
            if self.market.follows(frame, local_id, is_first) != "applies":
                return index
            local_id, is_first = frame.last_id, False
        return None

    def _load(self, snapshot: BookSnapshot) -> None:
        """Take a snapshot, and what it covers for the known range."""
        bids, asks = (_readable(levels, self.symbol) for levels in (snapshot.bids, snapshot.asks))
        book = self._book
        book.replace(Change(bids, asks))
        best_bid, best_ask = book.best_bid, book.best_ask
        if best_bid is None or best_ask is None:
            book.know(None, None)
            return
        low, high = min(price for price, size in bids if size), max(price for price, size in asks if size)
        book.know(low, high)
        self._reach = best_bid - low, high - best_ask

    def _copy(self, other: "ProducerBook") -> None:
        """Take another's levels, and no more for known than it does."""
        book = other._book
        self._book.replace(Change(list(book.bids.from_best()), list(book.asks.from_best())))
        self._book.know(book.lowest_bid, book.highest_ask)
        self._reach, self._last = other._reach, other._last

    def _replace(self, frame: DepthFrame) -> None:
        self.reset()
        self._book.replace(self._read(frame))
        self._book.know(None, None)
        self.last_id, self._is_first, self.is_synced, self._last = frame.last_id, True, True, frame

    def _wait_with(self, frame: DepthFrame) -> None:
        if self.market.snapshots_by_rest:
            self._buffer.append(frame)

    def _apply(self, frame: DepthFrame) -> None:
        self._book.update(self._read(frame))
        self.last_id, self._is_first, self._last = frame.last_id, False, frame

    def _read(self, frame: DepthFrame) -> Any:
        """The levels of a frame; raises ValueError where they cannot be read, and then the book is not synced."""
        try:
            return self._book.read(bytes(frame.bids), bytes(frame.asks), self.symbol)
        except BadRecordError as error:
            self.reset()
            raise ValueError(error.detail) from None

    def keyframe(self) -> Keyframe:
        """The whole book now; raises ValueError for a book that is not synced."""
        if not self.is_synced:
            raise ValueError(f"{self.market.venue} {self.symbol} is not synchronised and has no keyframe")
        last, book = self._last, self._book
        image = BookImage(
            self.symbol,
            self.last_id,
            Raw(book.bids.quoted()),
            Raw(book.asks.quoted()),
            last.exchange_ms if last else 0,
            last.engine_ms if last else 0,
            last.cross_sequence if last else 0,
        )
        return Keyframe(self.market.keyframe(image), self.last_id, self.known_range)

    def health(self) -> BookHealth:
        """What a look at the best levels shows."""
        best_bid, best_ask = self._book.best_bid, self._book.best_ask
        if best_bid is None or best_ask is None:
            return BookHealth(False, True, 0.0 if self._book.lowest_bid is None else 1.0)
        return BookHealth(best_bid >= best_ask, False, self._range_used(best_bid, best_ask))

    def _range_used(self, best_bid: int, best_ask: int) -> float:
        """The larger share of a side's range that the market has moved through since the snapshot, 0 to 1."""
        low, high = self._book.lowest_bid, self._book.highest_ask
        if low is None or high is None:
            return 0.0
        left = best_bid - low, high - best_ask
        shares = [1 - now / reach for now, reach in zip(left, self._reach, strict=True) if reach > 0]
        return min(1.0, max(0.0, *shares)) if shares else 0.0

    def levels(self) -> Sides:
        """Sizes by price, bids then asks, best levels first, as plain decimal strings."""
        return _plain(self._book.bids), _plain(self._book.asks)


def _plain(side: Side) -> dict[str, str]:
    return {plain(price, DECIMALS): plain(size, DECIMALS) for price, size in side.from_best()}


def _readable(levels: Iterable[Level], where: str) -> list[ScaledLevel]:
    """The levels as numbers; raises ValueError for one that the engine would not read, so that no keyframe holds it."""
    try:
        return parse_levels(levels, where)
    except BadRecordError as error:
        raise ValueError(error.detail) from None
