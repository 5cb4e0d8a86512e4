"""The compiled walker against the Python one, its reference: whatever the books hold, both see and take the same."""

import json
import os
from decimal import Decimal
from math import lcm
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mts_stream.domain import IN_PYTHON_BECAUSE
from mts_stream.domain.exact import FRACTION_SCALE, SHARE_SCALE
from mts_stream.domain.kernel import Kernel, kernel
from mts_stream.domain.limits import WINDOW_NOTIONALS_USD
from mts_stream.domain.pricing import Costs, Measures, PairScale, UnitFactors
from mts_stream.domain.walker import Walker
from tests.domain.builders import PAIR, PERPS, Bench, both_fundings, diff, instrument, keyframe, registry
from tests.domain.kernels import built

EXAMPLES = max(100, int(os.environ.get("CONFORMANCE_EXAMPLES", "0")))

prices = st.integers(9800, 10200).map(lambda hundredths: Decimal(hundredths) / 100)
sizes = st.sampled_from(["0.001", "0.5", "3", "12.25", "400", "0.00001", "75000"]).map(Decimal)
odd = st.decimals(min_value="0.000000000000000001", max_value="1e22", allow_nan=False, places=18)
large = st.decimals(min_value="0.000001", max_value="1e11", allow_nan=False, places=6)
usual = st.lists(st.tuples(prices, sizes), min_size=1, max_size=12)
unusual = st.lists(st.tuples(prices | large | odd, sizes | large | odd), min_size=1, max_size=4)
sides = st.one_of(usual, usual, usual, unusual)
changes = st.lists(st.tuples(prices, sizes | st.just(Decimal(0))), max_size=3) | sides
bps = st.sampled_from([0, 1, 5, 55, -20, 300]) | st.integers(-30_000, 30_000)
fees = bps.map(lambda number: number * FRACTION_SCALE // 10_000)
costs_of = st.builds(Costs, fees, fees, fees, st.sampled_from([1, 2]))
multipliers = st.sampled_from(["1", "1", "10", "1000", "1000000", "0.001"]).map(Decimal)
lots = st.sampled_from(["0.001", "0.0015", "1", "5", "0.00000001", "0.000000000000000001", "100000"]).map(Decimal)
shares = st.sampled_from([SHARE_SCALE, SHARE_SCALE, SHARE_SCALE // 2, 333_333_333_333, 1])
notionals = st.sampled_from([1, 100, 50_000, 10**9, 10**20])


@st.composite
def measures_of(draw: st.DrawFn) -> Measures:
    """What a registry and settings can ask for."""
    legs = [instrument(leg, multiplier=draw(multipliers), lot_size=draw(lots)) for leg in PERPS]
    scale = PairScale.of(legs)
    buy, sell = (UnitFactors.of(leg, scale) for leg in legs)
    money = scale.money_scale
    windows = tuple(usd * money for usd in WINDOW_NOTIONALS_USD)
    return Measures(buy, sell, lcm(buy.lot, sell.lot), draw(shares), draw(notionals) * money, windows)


def written(levels: list[tuple[Decimal, Decimal]]) -> bytes:
    """As a venue writes them."""
    return json.dumps([[f"{price:f}", f"{size:f}"] for price, size in levels], separators=(",", ":")).encode()


class Two:
    """A buy and a sell book of one kernel, and a walker over them."""

    def __init__(self, of: Kernel, measures: Measures, asks: bytes, bids: bytes) -> None:
        self.books = of.new_book(), of.new_book()
        for book, sides in zip(self.books, ((b"[]", asks), (bids, b"[]")), strict=True):
            book.replace(book.read(*sides, ""))
        self.walker = of.new_walker(*self.books, measures)

    def update(self, asks: bytes, bids: bytes) -> None:
        """Change the sides that are walked."""
        for book, sides in zip(self.books, ((b"[]", asks), (bids, b"[]")), strict=True):
            book.update(book.read(*sides, ""))

    @property
    def is_valid(self) -> bool:
        """Whether both have levels."""
        return bool(len(self.books[0].asks) and len(self.books[1].bids))

    def seen(self, costs: Costs) -> Any:
        """All that a judge asks for."""
        walker = self.walker
        return walker.touch(costs), walker.walk(costs), walker.nets(costs), [list(side) for side in walker.levels()]


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    measures_of(), sides, sides, st.lists(st.tuples(changes, changes), max_size=4),
    st.lists(costs_of, min_size=2, max_size=2),
)  # fmt: skip
def test_both_walkers_see_and_take_the_same(
    measures: Measures, asks: list, bids: list, updates: list, costs: list[Costs]
) -> None:
    """Touch, walk and nets, over books that change, gain decimals and outgrow 64 bits, and costs that change."""
    pair = [Two(of, measures, written(asks), written(bids)) for of in (kernel("python"), built("compiled"))]
    assert pair[1].seen(costs[0]) == pair[0].seen(costs[0])
    for number, (ask_changes, bid_changes) in enumerate(updates):
        for one in pair:
            one.update(written(ask_changes), written(bid_changes))
        if not pair[0].is_valid:
            break
        assert pair[1].seen(costs[number % 2]) == pair[0].seen(costs[number % 2])
    assert [one.is_valid for one in pair] in ([True, True], [False, False])


FEE = 5 * FRACTION_SCALE // 10_000
COSTS = Costs(FEE, FEE, FEE // 5, 2)


def real_measures() -> Measures:
    """Of a pair of ordinary instruments, one of them in thousands."""
    legs = [instrument(PERPS[0], multiplier=Decimal(1000)), instrument(PERPS[1], lot_size=Decimal(10))]
    scale = PairScale.of(legs)
    buy, sell = (UnitFactors.of(leg, scale) for leg in legs)
    windows = tuple(usd * scale.money_scale for usd in WINDOW_NOTIONALS_USD)
    return Measures(buy, sell, lcm(buy.lot, sell.lot), SHARE_SCALE, 50_000 * scale.money_scale, windows)


def test_ordinary_books_are_walked_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decimals, lots and multipliers as venues have them never need the Python walker."""
    of = built("compiled")
    from mts_stream.domain import walker_compiled

    monkeypatch.setattr(walker_compiled, "Walker", lambda *_: None)
    asks = [(Decimal(f"{17 + n / 1000:.6f}"), Decimal("0.5") + n) for n in range(500)]
    bids = [(Decimal(f"{(17.1 - n / 1000) / 1000:.8f}"), Decimal(20_000 + n)) for n in range(500)]
    two = Two(of, real_measures(), written(asks), written(bids))

    touch, walked = two.walker.touch(COSTS), two.walker.walk(COSTS)

    assert touch.adds and walked.size > 0
    assert None not in two.walker.nets(COSTS)


@pytest.mark.parametrize("name", ["python", "compiled"])
def test_the_same_touch_is_the_same_object(name: str) -> None:
    """By that a judge knows that nothing changed; depth behind the best level is no touch."""
    two = Two(built(name), real_measures(), b'[["17","5"],["18","5"]]', b'[["0.0169","5"],["0.0168","5"]]')
    touch = two.walker.touch(COSTS)

    two.update(b'[["18","6"],["17","1"]]', b'[["0.0167","6"]]')
    assert two.walker.touch(COSTS) is touch

    two.update(b'[["17","0"]]', b"[]")
    assert two.walker.touch(COSTS) is not touch
    assert two.walker.touch(COSTS).edge.bps < touch.edge.bps


class NoWalk(Walker):
    """A walker that must not walk; told how often it was asked for the touch."""

    asked = 0

    def touch(self, costs: Costs) -> Any:
        """As ever."""
        NoWalk.asked += 1
        return super().touch(costs)

    def walk(self, costs: Costs) -> Any:
        """Nobody may ask for it."""
        raise AssertionError("walked without an edge")


def test_without_an_edge_nobody_walks() -> None:
    """Whatever changes: the touch, depth behind it, or only the time; each evaluation counts all the same."""
    if not IN_PYTHON_BECAUSE:
        pytest.skip("a compiled class can have no subclass in Python")
    NoWalk.asked = 0
    bench = Bench(implementation=Kernel("python", kernel("python").new_book, NoWalk))
    bench.feed(registry(), *both_fundings())
    for leg, conn in zip(PERPS, "cy", strict=True):
        bench.feed(keyframe(leg, "99 5,98 5", "101 5,102 5", conn=conn))
    changes = ["99 6", "98 1", "99 0", "97 2", "99.5 1"]
    for number, bids in enumerate(changes, start=11):
        bench.feed(diff(PERPS[1], bids, "", first_id=0, last_id=number, at_ms=number, conn="y"))

    directions = bench.engine.pairs[PAIR].engine.directions.values()
    assert [d.window.outcomes for d in directions] == [{"book_empty": 1, "no_edge": 6}] * 2
    assert NoWalk.asked == 2 * 3, "a book that looks as before is not even looked at"
