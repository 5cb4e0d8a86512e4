"""The walk against a plain Decimal one, and the properties that hold for every pair of books."""

from decimal import Decimal
from math import lcm

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.domain.exact import FRACTION_SCALE
from mts_stream.domain.instrument import Instrument
from mts_stream.domain.pricing import Amounts, Costs, Fill, PairScale, UnitFactors, floored, walk
from tests.domain.builders import instrument

levels = st.lists(st.tuples(st.integers(90, 110), st.integers(1, 30)), min_size=1, max_size=8, unique_by=lambda x: x[0])
fees = st.integers(0, 60).map(lambda bps: bps * FRACTION_SCALE // 10_000)
slippages = st.integers(0, 5).map(lambda bps: bps * FRACTION_SCALE // 10_000)
costs_of = st.builds(Costs, fees, fees, slippages, st.sampled_from([1, 2]))


def plain_walk(asks: list, bids: list, limit: int, lot: int, costs: Costs | None) -> tuple[list[Fill], bool]:
    """Step 1 and 2 as they are written, one smallest unit of size at a time."""
    a = [price for price, size in asks for _ in range(size)]
    b = [price for price, size in bids for _ in range(size)]
    ends, position = set(), 0
    for side in (asks, bids):
        position = 0
        for _, size in side:
            position += size
            ends.add(position)
    fills, used, taken, done = [], 0, 0, False
    while not done and taken < min(len(a), len(b)):
        ask, bid = a[taken], b[taken]
        if costs is not None and not (
            Decimal(bid) * (FRACTION_SCALE - costs.turns * costs.sell_fee - costs.slippage)
            > Decimal(ask) * (FRACTION_SCALE + costs.turns * costs.buy_fee + costs.slippage)
        ):
            break
        offered = min(end for end in ends if end > taken) - taken
        affordable = (limit - used) // ask // lot * lot
        size, done = min(offered, affordable), affordable <= offered
        fills.append(Fill(size, ask, bid))
        used, taken = used + size * ask, taken + size
    surplus = taken % lot
    while surplus:
        last = fills.pop()
        if last.size > surplus:
            fills.append(last._replace(size=last.size - surplus))
        surplus = max(0, surplus - last.size)
    return fills, done


@given(levels, levels, st.integers(50, 20_000), st.integers(1, 9), st.none() | costs_of)
def test_the_walk_equals_the_plain_one(asks: list, bids: list, limit: int, lot: int, costs: Costs | None) -> None:
    """Sizes, sums and why it ended agree with a walk unit by unit."""
    asks, bids = sorted(asks), sorted(bids, reverse=True)

    walked = walk(iter(asks), iter(bids), limit, lot, costs)

    fills, filled = plain_walk(asks, bids, limit, lot, costs)
    assert walked.size == sum(f.size for f in fills)
    assert walked.buy_notional == sum(f.size * f.ask for f in fills)
    assert walked.sell_notional == sum(f.size * f.bid for f in fills)
    assert walked.filled == filled


@pytest.mark.parametrize(
    ("sizes", "lot", "kept"),
    [([3, 2, 1], 2, [3, 2, 1]), ([3, 2, 2], 3, [3, 2, 1]), ([3, 2, 2], 5, [3, 2]), ([3, 2, 2], 8, []), ([], 2, [])],
)
def test_the_floor_cuts_the_worst_fills(sizes: list[int], lot: int, kept: list[int]) -> None:
    """From the last one backward, and a fill of which nothing is left is none."""
    fills = [Fill(size, ask, 200 - ask) for ask, size in enumerate(sizes, start=100)]

    assert floored(fills, lot) == [Fill(size, ask, 200 - ask) for ask, size in enumerate(kept, start=100)]


@given(levels, levels, st.integers(1000, 20_000), st.integers(1, 9), costs_of)
def test_a_walk_keeps_its_bounds(asks: list, bids: list, limit: int, lot: int, costs: Costs) -> None:
    """Never above the notional, always whole lots, never more than the books hold, and every step adds to net."""
    asks, bids = sorted(asks), sorted(bids, reverse=True)

    walked = walk(iter(asks), iter(bids), limit, lot, costs)

    assert walked.buy_notional <= limit
    assert walked.size % lot == 0
    assert walked.size <= min(sum(s for _, s in asks), sum(s for _, s in bids))
    amounts = Amounts.of(walked, costs, 0)
    assert amounts.net >= 0


@given(levels, levels, st.integers(1000, 20_000), costs_of)
def test_depth_behind_the_walk_changes_nothing(asks: list, bids: list, limit: int, costs: Costs) -> None:
    """Levels worse than the last one taken are never seen."""
    asks, bids = sorted(asks), sorted(bids, reverse=True)

    behind = walk(iter([*asks, (10_000, 5)]), iter([*bids, (1, 5)]), limit, 1, costs)

    assert behind[:3] == walk(iter(asks), iter(bids), limit, 1, costs)[:3]


@given(st.sampled_from(["1", "3", "10", "1000", "0.001", "2.5"]), st.sampled_from(["1", "7", "1000000"]))
def test_units_are_exact_for_any_multiplier(first: str, second: str) -> None:
    """Unit price times multiplier is the quoted price, unit size over multiplier the quoted size; lots share a lot."""
    legs: list[Instrument] = [
        instrument("binance:perp", multiplier=Decimal(first)),
        instrument("bybit:perp", multiplier=Decimal(second)),
    ]
    scale = PairScale.of(legs)
    for leg in legs:
        factors = UnitFactors.of(leg, scale)
        ratio = leg.multiplier.as_integer_ratio()
        assert factors.price * ratio[0] * 10**18 == scale.price_scale * ratio[1]
        assert factors.size * ratio[1] * 10**18 == scale.size_scale * ratio[0]
    assert lcm(*(UnitFactors.of(leg, scale).lot for leg in legs)) > 0
