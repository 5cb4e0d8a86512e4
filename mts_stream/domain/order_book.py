"""An order book of quoted prices and sizes, exact, in integers of 10^-18.

It is the reference of order_book_compiled.pyx: both do the same to the last digit and the last word of an error.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from mts_stream.domain.exact import DECIMALS, all_scaled, plain, scaled
from mts_stream.domain.packing import packed_side, unpacked_side
from mts_stream.domain.quoted import Level, plain_numbers, quoted
from mts_stream.domain.rejection import BadRecordError

ScaledLevel = tuple[int, int]  # price, size; size 0 removes the level


class Change(NamedTuple):
    """The levels of a depth record, read and found possible; what a book is replaced by, updated or compared with."""

    bids: list[ScaledLevel]
    asks: list[ScaledLevel]


def read_levels(levels: bytes, where: object) -> list[ScaledLevel]:
    """Levels in the venue's own bytes as scaled integers; raises BadRecordError as `quoted` and `parse_levels` do."""
    try:
        numbers = all_scaled(plain_numbers(levels))
    except ValueError:
        numbers = [0]
    if not all(numbers[::2]):  # what else is there, or no price, is found one by one
        return parse_levels(quoted(levels, where), where)
    pairs = iter(numbers)
    return list(zip(pairs, pairs, strict=True))


def parse_levels(levels: Iterable[Level], where: object) -> list[ScaledLevel]:
    """Levels as scaled integers; raises BadRecordError `impossible_number`: price <= 0, size < 0, or no number."""
    parsed = []
    for price_text, size_text in levels:
        try:
            price, size = scaled(price_text), scaled(size_text)
        except ValueError as error:
            raise BadRecordError("impossible_number", f"{where}: {error}") from None
        if price <= 0 or size < 0:
            raise BadRecordError("impossible_number", f"{where}: price {price_text[:40]!r}, size {size_text[:40]!r}")
        parsed.append((price, size))
    return parsed


class BookSide:
    """One side of a book, sorted so that the best level is the last key: bids by price, asks by negative price."""

    __slots__ = ("_keys", "_sign", "sizes")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._keys: list[int] = []
        self.sizes: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def best(self) -> int | None:
        """The best price, or None for an empty side."""
        return self._keys[-1] * self._sign if self._keys else None

    def replace(self, levels: Iterable[ScaledLevel]) -> None:
        """Take these levels for the whole side."""
        self.sizes = sizes_of(levels)
        self._keys = sorted(price * self._sign for price in self.sizes)

    def update(self, levels: Iterable[ScaledLevel]) -> None:
        """Set, replace or remove levels; removing an unknown one is normal and does nothing."""
        keys, sizes, sign = self._keys, self.sizes, self._sign
        for price, size in levels:
            if size:
                if price not in sizes:
                    insort(keys, price * sign)
                sizes[price] = size
            elif sizes.pop(price, None) is not None:
                del keys[bisect_left(keys, price * sign)]

    def from_best(self) -> Iterator[ScaledLevel]:
        """Levels from the best one outward."""
        sign, sizes = self._sign, self.sizes
        for key in reversed(self._keys):
            price = key * sign
            yield price, sizes[price]

    def snapshot(self) -> list[Any]:
        """Prices from the best outward, and their sizes, as JSON data."""
        prices = [key * self._sign for key in reversed(self._keys)]
        return packed_side(prices, [self.sizes[price] for price in prices])

    def quoted(self) -> bytes:
        """Levels from the best one outward as venues write them: JSON of [price, size], plain decimal strings."""
        levels = (f'["{plain(price, DECIMALS)}","{plain(size, DECIMALS)}"]' for price, size in self.from_best())
        return f"[{','.join(levels)}]".encode()


class OrderBook:
    """Both sides of a book, with the range of prices in which it is known."""

    __slots__ = ("asks", "bids", "highest_ask", "lowest_bid", "version")

    def __init__(self) -> None:
        self.bids = BookSide(1)
        self.asks = BookSide(-1)
        self.lowest_bid: int | None = None
        self.highest_ask: int | None = None
        self.version = 0  # grows with every change, so that what was computed from the book can be kept

    @property
    def best_bid(self) -> int | None:
        """The highest bid."""
        return self.bids.best

    @property
    def best_ask(self) -> int | None:
        """The lowest ask."""
        return self.asks.best

    @property
    def flaw(self) -> str:
        """Why nothing may be computed from it: `exhausted`, a side is empty; `crossed`; "" for a sound book."""
        best_bid, best_ask = self.bids.best, self.asks.best
        if best_bid is None or best_ask is None:
            return "exhausted"
        return "crossed" if best_bid >= best_ask else ""

    def read(self, bids: bytes, asks: bytes, where: object) -> Change:
        """The levels in the venue's own bytes (quoted.py), for this book; the book is not touched.

        Raises BadRecordError: `bad_frame` for another shape, `impossible_number` for what is no price or size.
        """
        return Change(read_levels(bids, where), read_levels(asks, where))

    def replace(self, change: Change) -> None:
        """Take a snapshot for the whole book."""
        self.bids.replace(change.bids)
        self.asks.replace(change.asks)
        self.version += 1

    def restore(self, bids: list[Any], asks: list[Any]) -> None:
        """Take over both sides' snapshots; raises ValueError where prices and sizes are not as many."""
        self.replace(change_of(bids, asks))

    def know(self, lowest_bid: int | None, highest_ask: int | None) -> None:
        """State the known range: a REST snapshot covers part of a book (DESIGN section 4)."""
        self.lowest_bid, self.highest_ask = lowest_bid, highest_ask

    def update(self, change: Change) -> None:
        """Apply changed levels; what lies outside the known range is ignored, so no walk meets a half-known level."""
        lowest, highest = self.lowest_bid, self.highest_ask
        bids, asks = change
        self.bids.update(bids if lowest is None else [level for level in bids if level[0] >= lowest])
        self.asks.update(asks if highest is None else [level for level in asks if level[0] <= highest])
        self.version += 1

    def equals(self, change: Change) -> bool:
        """Whether a snapshot holds just these levels."""
        return self.bids.sizes == sizes_of(change.bids) and self.asks.sizes == sizes_of(change.asks)


def sizes_of(levels: Iterable[ScaledLevel]) -> dict[int, int]:
    """Sizes by price; a level of size 0 is none."""
    return {price: size for price, size in levels if size}


def change_of(bids: list[Any], asks: list[Any]) -> Change:
    """The sides of a snapshot, as a whole book; raises ValueError where prices and sizes are not as many."""
    sides = (unpacked_side(side) for side in (bids, asks))
    return Change(*(list(zip(prices, sizes, strict=True)) for prices, sizes in sides))
