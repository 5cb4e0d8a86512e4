"""The producer's own copy of one book: told frames and snapshots, asked for keyframes; no I/O, no clock of its own.

Every frame goes to the log as it comes, so that the engine sees a gap as soon as we do. The book decides beside it:
whether the frame follows, whether a snapshot is needed, and what the whole book is when a keyframe is due.
Levels are decoded and merged when somebody asks for them, at the latest after PENDING_FRAMES_MAX frames.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import Raw

from mts_stream.domain.market_data import KnownRange
from mts_stream.domain.order_book import ScaledLevel, parse_levels
from mts_stream.domain.quoted import Level
from mts_stream.errors import BadRecordError
from mts_stream.exchanges.venue import BookImage, BookSnapshot, DepthFrame, VenueMarket

PENDING_FRAMES_MAX = 64
BUFFERED_FRAMES_MAX = 2048
RANGE_USED_MAX = 0.5

FrameOutcome = Literal["applied", "replaced", "stale", "buffered", "gap"]

_levels = msgspec.json.Decoder(list[tuple[str, str]])
_LEVEL_BYTES = b'0123456789."[], '


@dataclass(frozen=True, slots=True)
class Keyframe:
    """A whole book as it goes to the log: the venue's format, its sequence, and the range that is known."""

    frame: bytes
    last_id: int
    known_range: KnownRange | None


@dataclass(frozen=True, slots=True)
class BookHealth:
    """What a look at the whole book shows."""

    is_crossed: bool
    is_empty_side: bool
    range_used: float


class ProducerBook:
    """One book in step with the venue; `is_synced` False from the start, and after a gap, until a snapshot fits."""

    def __init__(self, market: VenueMarket, symbol: str) -> None:
        self.market, self.symbol = market, symbol
        self.is_synced = False
        self.last_id = 0
        self._is_first = True
        self._sides: tuple[dict[str, str], dict[str, str]] = ({}, {})
        self._known: tuple[float, float] | None = None
        self._known_text: KnownRange | None = None
        self._reach: tuple[float, float] = (0.0, 0.0)
        self._pending: list[DepthFrame] = []
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
        return self._known_text

    @property
    def newest_id(self) -> int:
        """The id of the last frame that was taken, waiting or not; 0 before any."""
        if self.is_synced:
            return self.last_id
        return self._buffer[-1].last_id if self._buffer else 0

    def reset(self) -> None:
        """The connection was lost: everything known is void."""
        self.is_synced = self._keeps = False
        self._pending.clear()
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

        A synced book takes it to know a fresh range, and stays as it is where the snapshot does not fit.
        """
        frames = [frame for frame in self._buffer if frame.last_id > snapshot.last_id]
        broken_at = self._first_break(snapshot, frames)
        if broken_at is not None:
            if not self.is_synced:
                self._buffer = deque(frames[broken_at:], maxlen=BUFFERED_FRAMES_MAX)
            self.keep_frames(False)
            return False
        end_id = frames[-1].last_id if frames else snapshot.last_id
        if self.is_synced and end_id < self.last_id:
            self.keep_frames(False)
            return False
        self._load(snapshot)
        self._buffer.clear()
        for frame in frames:
            self._apply(frame)
        self._keeps = False
        return True

    def join(self, other: "ProducerBook") -> bool:
        """Go on from another connection's book of the same ids; False where the frames kept here do not follow it.

        Raises ValueError where the other's levels cannot be read.
        """
        if self.is_synced or not other.is_synced:
            return False
        bids, asks = other.levels()
        if not self.on_snapshot(BookSnapshot(other.last_id, list(bids.items()), list(asks.items()))):
            return False
        self._known, self._known_text, self._reach = other._known, other._known_text, other._reach
        self._last = self._last or other._last
        return True

    def _first_break(self, snapshot: BookSnapshot, frames: list[DepthFrame]) -> int | None:
        local_id, is_first = snapshot.last_id, True
        for index, frame in enumerate(frames):
            if self.market.follows(frame, local_id, is_first) != "applies":
                return index
            local_id, is_first = frame.last_id, False
        return None

    def _load(self, snapshot: BookSnapshot) -> None:
        _readable((*snapshot.bids, *snapshot.asks), self.symbol)
        self._pending.clear()
        self._sides = _present(snapshot.bids), _present(snapshot.asks)
        self.last_id, self._is_first, self.is_synced = snapshot.last_id, True, True
        self._known, self._known_text = None, None
        if all(self._sides):
            low, high = min(self._sides[0], key=float), max(self._sides[1], key=float)
            self._known, self._known_text = (float(low), float(high)), (low, high)
            best_bid, best_ask = max(map(float, self._sides[0])), min(map(float, self._sides[1]))
            self._reach = best_bid - float(low), float(high) - best_ask

    def _replace(self, frame: DepthFrame) -> None:
        self.reset()
        bids, asks = _decode_levels(frame.bids), _decode_levels(frame.asks)
        _readable((*bids, *asks), self.symbol)
        self._sides = _present(bids), _present(asks)
        self._known, self._known_text = None, None
        self.last_id, self._is_first, self.is_synced, self._last = frame.last_id, True, True, frame

    def _wait_with(self, frame: DepthFrame) -> None:
        if self.market.snapshots_by_rest:
            self._buffer.append(frame)

    def _apply(self, frame: DepthFrame) -> None:
        self.last_id, self._is_first, self._last = frame.last_id, False, frame
        self._pending.append(frame)
        if len(self._pending) >= PENDING_FRAMES_MAX:
            self._merge()

    def _merge(self) -> None:
        pending, self._pending = self._pending, []
        try:
            for frame in pending:
                _merge_side(self._sides[0], frame.bids)
                _merge_side(self._sides[1], frame.asks)
        except ValueError:  # msgspec's errors are ValueErrors too
            self.reset()
            raise

    def keyframe(self) -> Keyframe:
        """The whole book now; raises ValueError for a book that is not synced."""
        if not self.is_synced:
            raise ValueError(f"{self.market.venue} {self.symbol} is not synchronised and has no keyframe")
        try:
            bids, asks = self._whole()
        except ValueError:
            self.reset()
            raise
        last = self._last
        image = BookImage(
            self.symbol,
            self.last_id,
            bids,
            asks,
            last.exchange_ms if last else 0,
            last.engine_ms if last else 0,
            last.cross_sequence if last else 0,
        )
        return Keyframe(self.market.keyframe(image), self.last_id, self._known_text)

    def _whole(self) -> tuple[list[Level], list[Level]]:
        """Both sides, best levels first; raises ValueError where a level is none that the engine would read."""
        self._merge()
        self._prune()
        bids, asks = self._sides
        return _ordered(bids, self.symbol, is_bids=True), _ordered(asks, self.symbol, is_bids=False)

    def _prune(self) -> None:
        """Levels outside the known range are half known (DESIGN section 4) and never shown."""
        if self._known is not None:
            low, high = self._known
            bids, asks = self._sides
            self._sides = (
                {price: size for price, size in bids.items() if float(price) >= low},
                {price: size for price, size in asks.items() if float(price) <= high},
            )

    def health(self) -> BookHealth:
        """Look at the whole book; costs a pass over its levels; raises ValueError where they cannot be read."""
        try:
            return self._health()
        except ValueError:
            self.reset()
            raise

    def _health(self) -> BookHealth:
        self._merge()
        bids, asks = self._sides
        if not bids or not asks:
            return BookHealth(False, True, 1.0 if self._known else 0.0)
        best_bid, best_ask = max(map(float, bids)), min(map(float, asks))
        return BookHealth(best_bid >= best_ask, False, self._range_used(best_bid, best_ask))

    def _range_used(self, best_bid: float, best_ask: float) -> float:
        """The larger share of a side's range that the market has moved through since the snapshot, 0 to 1."""
        if self._known is None:
            return 0.0
        left = best_bid - self._known[0], self._known[1] - best_ask
        shares = [1 - now / reach for now, reach in zip(left, self._reach, strict=True) if reach > 0]
        return min(1.0, max(0.0, *shares)) if shares else 0.0

    def levels(self) -> tuple[dict[str, str], dict[str, str]]:
        """Sizes by price, bids then asks, as the venue writes them; raises ValueError where they cannot be read."""
        self._merge()
        try:
            _readable((*self._sides[0].items(), *self._sides[1].items()), self.symbol)
        except ValueError:
            self.reset()
            raise
        return self._sides


def _decode_levels(levels: Raw) -> list[Level]:
    """The levels of one side; raises ValueError for what can be no price or size: signs, letters, other shapes."""
    strange = bytes(levels).translate(None, _LEVEL_BYTES)
    if strange:
        raise ValueError(f"levels with {strange[:20]!r} are no numbers")
    return _levels.decode(levels)


def _readable(levels: Iterable[Level], where: str) -> list[ScaledLevel]:
    """The levels as numbers; raises ValueError for one that the engine would not read, so that no keyframe holds it."""
    try:
        return parse_levels(levels, where)
    except BadRecordError as error:
        raise ValueError(error.detail) from None


def _ordered(side: dict[str, str], where: str, *, is_bids: bool) -> list[Level]:
    """The levels of a side as text, from the best outward; raises ValueError as above."""
    by_price = sorted(zip(_readable(side.items(), where), side.items(), strict=True), reverse=is_bids)
    return [level for _, level in by_price]


def _present(levels: Iterable[Level]) -> dict[str, str]:
    """The levels of a whole side; one of size 0 is none."""
    return {price: size for price, size in levels if size.strip("0.")}


def _merge_side(side: dict[str, str], levels: Raw) -> None:
    for price, size in _decode_levels(levels):
        if size.strip("0."):
            side[price] = size
        else:
            side.pop(price, None)  # deletes of levels that we never saw are normal (exchanges.md 1.3)
