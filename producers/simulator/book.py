"""One simulated order book: a ladder of levels per side in whole ticks and lots, moved by real level changes.

Prices lie on a grid of slots. Bids stand in the lower half of a slot, asks in the upper, each at an offset that
belongs to its slot, so that prices look irregular, never collide, and a level keeps its price for life:

    ticks  ...|b    a  |  b   a |   b a   |...      one slot is about 0.8 bps wide
               slot k-1   slot k   slot k+1         mid in the middle: best bid in k-1, best ask in k
"""

import math
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from producers.simulator.universe import PERP, Listing

BID, ASK = 0, 1
SLOT_BPS = 0.8
LEVELS = 250
"""Levels a side; about 200 bps of price, so that an episode uses up less than half of it."""

_DEPTH_MEAN_SLOTS = 7.0
_HOLE_PROBABILITY = 0.06
_HOLE_DEPTH_MIN = 2
_CONTIGUOUS_PERP_PROBABILITY = 0.02
_HASH = 0x9E3779B1

Change = tuple[int, int, int]
"""Side, price in ticks, absolute size in lots (0 removes)."""


class BookUpdate(NamedTuple):
    """The changes of one update of one book, and the first and last of the update ids it took."""

    changes: list[Change]
    first_id: int
    last_id: int


class Ladder:
    """One side of a book; keys grow away from the touch on both sides, so bids use the negated slot."""

    __slots__ = ("_half", "_sign", "_slot_ticks", "best", "side", "sizes")

    def __init__(self, side: int, slot_ticks: int) -> None:
        self.side = side
        self.sizes: dict[int, int] = {}
        self.best = 0
        self._sign = -1 if side == BID else 1
        self._slot_ticks = slot_ticks
        self._half = (slot_ticks + 1) // 2

    def price(self, key: int) -> int:
        """The price in ticks of the level with this key."""
        slot = key * self._sign
        if self._slot_ticks == 1:
            return slot
        jitter = (slot * _HASH & 0xFFFFFFFF) >> 8
        if self.side == BID:
            return slot * self._slot_ticks + jitter % self._half
        return slot * self._slot_ticks + self._half + jitter % (self._slot_ticks - self._half)

    def top(self, count: int) -> Iterator[tuple[int, int]]:
        """Price and size of the best `count` levels, best first."""
        sizes = self.sizes
        found = 0
        for key in range(self.best, self.best + LEVELS):
            size = sizes.get(key)
            if size is not None:
                yield self.price(key), size
                found += 1
                if found == count:
                    return


class Book:
    """The true book of one listing: told a mid price, it moves there and counts update ids as its venue does."""

    def __init__(self, listing: Listing, mid: float, rng: Random) -> None:
        self.listing = listing
        self.slot_ticks = max(1, round(mid * SLOT_BPS / 10_000))
        self.bids = Ladder(BID, self.slot_ticks)
        self.asks = Ladder(ASK, self.slot_ticks)
        self.last_id = rng.randrange(10**9, 9 * 10**10)
        self.cross_slots = 0
        self._rng = rng
        level_value = mid / 10**listing.price_digits / 10**listing.size_digits
        self._level_lots = listing.level_notional_usd / level_value
        self._contiguous_ids = listing.market != PERP
        for ladder, best in zip((self.bids, self.asks), self._touch_keys(mid), strict=True):
            ladder.best = best
            ladder.sizes = {key: self._new_size(key - best) for key in range(best, best + LEVELS)}

    def update(self, mid: float) -> BookUpdate | None:
        """Move both sides to a mid price in ticks and change some sizes near the touch; None if nothing changed."""
        changed: dict[tuple[int, int], int] = {}
        bid, ask = self._touch_keys(mid)
        self._move(self.bids, bid - self.cross_slots, changed)
        self._move(self.asks, ask, changed)
        self._resize(changed)
        if not changed:
            return None
        ladders = (self.bids, self.asks)
        changes = [(side, ladders[side].price(key), size) for (side, key), size in changed.items()]
        return BookUpdate(changes, *self._take_ids(len(changes)))

    def touch(self) -> tuple[int, int]:
        """Best bid and best ask in ticks."""
        return next(self.bids.top(1))[0], next(self.asks.top(1))[0]

    def _touch_keys(self, mid: float) -> tuple[int, int]:
        if self.slot_ticks == 1:
            slot = math.floor(mid)
            return -slot, slot + 1
        slot = math.floor(mid / self.slot_ticks + 0.5)
        return 1 - slot, slot

    def _move(self, ladder: Ladder, best: int, changed: dict[tuple[int, int], int]) -> None:
        old, sizes, side = ladder.best, ladder.sizes, ladder.side
        if best == old:
            return
        ladder.best = best
        gone = range(old, min(best, old + LEVELS)) if best > old else range(max(old, best + LEVELS), old + LEVELS)
        come = range(max(best, old + LEVELS), best + LEVELS) if best > old else range(best, min(old, best + LEVELS))
        for key in gone:
            if sizes.pop(key, None) is not None:
                changed[side, key] = 0
        for key in come:
            changed[side, key] = sizes[key] = self._new_size(key - best)
        if best not in sizes:
            changed[side, best] = sizes[best] = self._new_size(0)

    def _resize(self, changed: dict[tuple[int, int], int]) -> None:
        random = self._rng.random
        for _ in range(1 + int(random() * 2 * self.listing.changes_per_update)):
            ladder = self.bids if random() < 0.5 else self.asks
            depth = min(int(-math.log(1.0 - random()) * _DEPTH_MEAN_SLOTS), LEVELS - 1)
            key = ladder.best + depth
            if depth >= _HOLE_DEPTH_MIN and random() < _HOLE_PROBABILITY:
                if ladder.sizes.pop(key, None) is not None:
                    changed[ladder.side, key] = 0
            else:
                changed[ladder.side, key] = ladder.sizes[key] = self._new_size(depth)

    def _new_size(self, depth: int) -> int:
        return max(1, int(self._level_lots * (0.4 + 1.2 * self._rng.random()) * (1 + depth / 25)))

    def _take_ids(self, changes: int) -> tuple[int, int]:
        """Spot ids are contiguous, one per change; on Binance perps others use the same ids, so most updates skip."""
        first = self.last_id + 1
        if not self._contiguous_ids and self._rng.random() >= _CONTIGUOUS_PERP_PROBABILITY:
            first += 1 + int(self._rng.random() * 300)
        self.last_id = first + (changes - 1 if self._contiguous_ids else int(changes * (1 + self._rng.random() * 60)))
        return first, self.last_id
