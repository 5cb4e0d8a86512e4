"""A walk taken apart: each limit's effect is told, and the steps add up to what was signalled."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.exact import SHARE_SCALE
from mts_stream.domain.pricing import WalkEnd, counted
from mts_stream.domain.walk_report import WalkReport, explain_walk
from tests.domain.builders import PAIR, T0, Bench, both_fundings, instrument, keyframe, registry, snapshot

DIRECTION = "binance:perp>bybit:perp"
ASKS = "100 2.0015, 101 3, 200 9"
BIDS = "110 4, 109 3"


def report(asks: str = ASKS, bids: str = BIDS, lot: str = "0.001", **settings: Any) -> tuple[WalkReport, Bench]:
    """The walk of a market of two perps, the sell leg of which has another lot."""
    values = {"min_profit_usd": Decimal(0), "min_notional": Decimal(0)} | {n: Decimal(v) for n, v in settings.items()}
    bench = Bench(EconomicSettings(**values))
    bench.feed(registry(instrument("binance:perp"), instrument("bybit:perp", lot_size=Decimal(lot))), *both_fundings())
    bench.feed(keyframe("binance:perp", "50 1", asks), snapshot("bybit:perp", bids, "300 1", conn="y"))
    return explain_walk(bench.engine.pairs[PAIR].engine.directions[DIRECTION].judge, T0), bench


def test_each_step_says_what_bounded_it() -> None:
    """Levels used up, and the price that ended it; the floor cuts the worst fill."""
    walked, bench = report(bids="110 4, 109 1.0015")

    assert [(s.ask, s.bid, s.size, s.kept, s.bounded_by) for s in walked.steps] == [
        ("100", "110", "2.0015", "2.0015", "ask_level"),
        ("101", "110", "1.9985", "1.9985", "bid_level"),
        ("101", "109", "1.0015", "1.001", "both_levels"),
    ]
    assert (walked.end, walked.size, walked.cut_by_lot) == (WalkEnd.BIDS, "5.001", "0.0005")
    assert walked.steps[-1].used_usd == "503.15"
    assert bench.signals[0].size == walked.size


@pytest.mark.parametrize(
    ("settings", "bounds", "end"),
    [
        ({}, ["ask_level", "bid_level", "ask_level"], WalkEnd.PRICE),
        ({"max_notional": "150"}, ["max_notional"], WalkEnd.NOTIONAL),
        ({"max_notional": "200.2"}, ["ask_level", "max_notional"], WalkEnd.NOTIONAL),
        ({"max_notional": "200.1", "asks": "100 2.001", "bids": "110 2.001"}, ["max_notional"], WalkEnd.NOTIONAL),
        ({"bids": "110 1", "asks": "100 2"}, ["bid_level"], WalkEnd.BIDS),
        ({"bids": "110 2", "asks": "100 1"}, ["ask_level"], WalkEnd.ASKS),
        ({"bids": "100 2"}, [], WalkEnd.PRICE),
    ],
)
def test_the_end_of_a_walk_is_named(settings: Any, bounds: list[str], end: WalkEnd) -> None:
    """The notional, the price or one of the books; a step that nothing was left for stands there with size 0."""
    walked, _ = report(**settings)

    assert ([step.bounded_by for step in walked.steps], walked.end) == (bounds, end)


def test_a_share_of_each_level_is_counted() -> None:
    """MAX_DEPTH_SHARE leaves a share of each level, in whole lots of its leg; less than a lot is no level."""
    walked, bench = report(bids="110 3, 109 0.9, 108 4", lot="1", max_depth_share="0.5")

    assert [(s.ask_size, s.ask_counted, s.bid_size, s.bid_counted, s.size, s.kept) for s in walked.steps] == [
        ("2.0015", "1", "3", "1", "1", "1"),
        ("3", "1.5", "4", "2", "1.5", "1"),
    ]
    assert [(s.bid, s.bounded_by) for s in walked.steps] == [("110", "both_levels"), ("108", "ask_level")]
    assert bench.signals[0].size == walked.size == "2"


def test_a_share_below_a_lot_is_too_small() -> None:
    """Where nothing may be counted on, the outcome is `min_notional`: the touch is still the touch."""
    walked, bench = report(bids="110 1", lot="1", max_depth_share="0.5")

    assert (walked.steps, walked.end, walked.size) == ((), WalkEnd.BIDS, "0")
    assert bench.engine.pairs[PAIR].engine.directions[DIRECTION].window.outcomes["min_notional"] == 1


sides = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 400)), max_size=9)


@given(sides, st.integers(1, SHARE_SCALE), st.integers(1, 30))
def test_what_is_counted_never_exceeds_its_share(levels: list[tuple[int, int]], share: int, lot: int) -> None:
    """Whole lots, at most the share, and less than one lot below it."""
    sizes = [size * share / SHARE_SCALE for _, size in levels if size * share // SHARE_SCALE >= lot]

    parts = [part for _, part in counted(levels, share, lot)]

    assert all(part % lot == 0 and size - lot - 1 < part <= size for part, size in zip(parts, sizes, strict=True))
