"""What is usual for a number: the median of its past values, and how far the middle one of them is from it."""

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from mts_stream.domain.exact import BPS_SCALE, plain_rounded

SCORE_DECIMALS = 4
SIGMA = 6745  # 10^-4: the MAD of a normal distribution, in standard deviations


class Deviation(NamedTuple):
    """A value held against its baseline, in whole units of which `units_per_bps` are a basis point.

    `median_twice` and `mad_fourfold` are twice and four times what their names say, so that they are whole.
    """

    value: int
    median_twice: int
    mad_fourfold: int
    floor: int  # a smaller MAD counts as this
    units_per_bps: int

    def is_beyond(self, score: int) -> bool:
        """Whether the score is so much or more, on either side; `score` in 10^-12."""
        numerator, denominator = self._score()
        return abs(numerator) * BPS_SCALE >= score * denominator

    def _score(self) -> tuple[int, int]:
        """The modified z-score 0.6745 (x - median) / MAD (Iglewicz and Hoaglin 1993, NIST handbook 1.3.5.17)."""
        deviation_twice = 2 * self.value - self.median_twice
        return SIGMA * 2 * deviation_twice, 10**4 * max(self.mad_fourfold, 4 * self.floor)

    @property
    def value_bps(self) -> str:
        """The value as a plain decimal string, rounded half-even to 4 places as all these."""
        return plain_rounded(self.value, self.units_per_bps, SCORE_DECIMALS)

    @property
    def median_bps(self) -> str:
        """The baseline's median."""
        return plain_rounded(self.median_twice, 2 * self.units_per_bps, SCORE_DECIMALS)

    @property
    def mad_bps(self) -> str:
        """The baseline's median absolute deviation, the floor not applied."""
        return plain_rounded(self.mad_fourfold, 4 * self.units_per_bps, SCORE_DECIMALS)

    @property
    def score(self) -> str:
        """The modified z-score, the floor applied."""
        return plain_rounded(*self._score(), SCORE_DECIMALS)


class Baseline:
    """A multiset of values that knows its median and MAD exactly; who holds it says what enters and what leaves.

    They lie side by side, 4 bytes each; where one needs more, in a list.
    """

    __slots__ = ("_sorted",)

    def __init__(self, values: Iterable[int] = ()) -> None:
        self._sorted: array[int] | list[int] = sorted(values)
        with suppress(OverflowError):
            self._sorted = array("i", self._sorted)

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, value: int) -> None:
        """A value enters; in time that hardly grows with their number."""
        try:
            insort(self._sorted, value)
        except OverflowError:
            self._sorted = [*self._sorted]
            insort(self._sorted, value)

    def remove(self, value: int) -> None:
        """A value that had entered leaves."""
        del self._sorted[bisect_left(self._sorted, value)]

    @property
    def median_twice(self) -> int:
        """Twice the median; of at least one value."""
        ordered, half = self._sorted, len(self._sorted) // 2
        return ordered[half] + ordered[~half]

    @property
    def mad_fourfold(self) -> int:
        """Four times the median absolute deviation from the median; of at least one value."""
        ordered, count = self._sorted, (len(self._sorted) + 1) // 2
        median_twice = self.median_twice
        low = self._nearest(count, median_twice)
        farthest = max(median_twice - 2 * ordered[low], 2 * ordered[low + count - 1] - median_twice)
        if len(ordered) % 2:
            return 2 * farthest
        # of an even number two are in the middle: the second is the nearer neighbour of the row
        below = median_twice - 2 * ordered[low - 1] if low else None
        above = 2 * ordered[low + count] - median_twice if low + count < len(ordered) else None
        nearer = below if above is None or (below is not None and below < above) else above
        assert nearer is not None, "half of an even number leaves the other half"
        return farthest + nearer

    def is_wider_than(self, mad_fourfold: int) -> bool:
        """Whether the MAD is surely above this: less than half of the values are so near to the median."""
        ordered, median_twice = self._sorted, self.median_twice
        near = mad_fourfold // 2
        low = bisect_left(ordered, -((near - median_twice) // 2))
        return bisect_right(ordered, (median_twice + near) // 2) - low < (len(ordered) + 1) // 2

    def _nearest(self, count: int, median_twice: int) -> int:
        """Where the `count` values nearest to the median begin: they stand in a row."""
        ordered = self._sorted
        low, high = 0, len(ordered) - count
        while low < high:
            middle = (low + high) // 2
            if ordered[middle] + ordered[middle + count] < median_twice:
                low = middle + 1
            else:
                high = middle
        return low

    def deviation(self, value: int, floor: int, units_per_bps: int) -> Deviation:
        """A value, which need not have entered, held against the others."""
        return Deviation(value, self.median_twice, self.mad_fourfold, floor, units_per_bps)
