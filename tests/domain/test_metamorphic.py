"""What must not matter does not, and what may only go one way does: engines and walks against changed ones."""

import json
from dataclasses import asdict
from decimal import Decimal
from typing import Any, NamedTuple

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.exact import FRACTION_SCALE
from mts_stream.domain.fees import BEGINNING, Fee, FeeSchedule
from mts_stream.domain.pricing import Amounts, Costs, Walk, WalkEnd, walk
from tests.domain.builders import PERPS, Bench, funding, instrument, registry, snapshot, status

HOUR_MS = 3_600_000
SETTINGS = EconomicSettings(
    fees=FeeSchedule(Fee(venue, "perp", "default", Decimal(3), BEGINNING) for venue in ("binance", "bybit")),
    min_profit_usd=Decimal(0), min_profit_bps=Decimal(0), funding_min_net_bps=Decimal(-30), max_edge_bps=Decimal(5000),
    anomaly_min_windows=2, anomaly_min_duration_s=1, anomaly_enter_score=Decimal(1), anomaly_leave_score=Decimal(1),
    anomaly_cooldown_s=0, silent_after_ms=60_000,
)  # fmt: skip
WALL = 10**6  # so much far away that every walk of a window ends there at the latest
Levels = list[tuple[int, int]]


class Step(NamedTuple):
    """A venue's whole new book: levels as distances from the middle in tenths, sizes in thousandths."""

    wait_ms: int
    venue: int
    middle: int
    bids: Levels
    asks: Levels
    rate: int  # funding, in hundredths of a basis point


levels = st.lists(
    st.tuples(st.integers(1, 15), st.integers(1, 400_000)), min_size=1, max_size=4, unique_by=lambda level: level[0]
)
steps = st.lists(
    st.builds(
        Step, st.integers(0, 900), st.integers(0, 1), st.integers(985, 1015), levels, levels, st.integers(-900, 900)
    ),
    min_size=4,
    max_size=14,
)


def run(steps: list[Step], legs: tuple[str, str] = PERPS, factor: int = 1, behind: bool = False) -> list[list[Any]]:
    """What each step led to; `factor` is the second leg's multiplier, in whose units it quotes."""
    lot = Decimal("0.001")
    second = instrument(legs[1], multiplier=Decimal(factor), lot_size=lot / factor)
    bench = Bench(SETTINGS)
    bench.feed(registry(instrument(legs[0], lot_size=lot), second))
    told, now_ms = [], 0
    for number, step in enumerate(steps):
        now_ms += step.wait_ms
        units = factor if step.venue else 1
        bids = [*((step.middle - away, size) for away, size in step.bids), (100, WALL * 1000)]
        asks = [*((step.middle + away, size) for away, size in step.asks), (1900, WALL * 1000)]
        if behind:
            bids, asks = [*bids, (50, 7), (1, 1)], [*asks, (1901, 3), (9999, WALL)]
        where: dict[str, Any] = {"at_ms": now_ms, "seq": number}
        rate = str(Decimal(step.rate) / 10**6)
        bench.feed(funding(legs[step.venue], rate, now_ms + HOUR_MS, 8, **where))
        event = snapshot(legs[step.venue], _text(bids, units), _text(asks, units), last_id=number + 1, **where)
        told.append(bench.feed(event))
    told.append(bench.feed(status("alive", legs[0], at_ms=now_ms + 3000)))
    return told


def _text(levels: Levels, units: int) -> str:
    return ", ".join(f"{Decimal(price * units) / 10} {Decimal(size) / 1000 / units:f}" for price, size in levels)


@settings(max_examples=40)
@given(steps)
def test_swapping_the_venues_mirrors_the_directions(steps: list[Step]) -> None:
    """With the same fees, what one venue offered the other one offers then; only the names of things differ."""
    told, mirrored = run(steps), run(steps, (PERPS[1], PERPS[0]))

    assert [_comparable(out) for out in told] == [_comparable(out, swapped=True) for out in mirrored]


def _comparable(out: list[Any], swapped: bool = False) -> list[str]:
    """Messages without their ids, in an order of their own; with the venues' names exchanged."""
    texts = []
    for message in out:
        fields = {k: v for k, v in asdict(message).items() if k not in ("id", "opportunity_id")}
        text = json.dumps(fields, sort_keys=True)
        if swapped:
            text = text.replace("binance", "*").replace("bybit", "binance").replace("*", "bybit")
        texts.append(text)
    return sorted(texts)


@settings(max_examples=40)
@given(steps, st.sampled_from([10, 100, 1000]))
def test_a_contract_of_more_units_changes_nothing(steps: list[Step], factor: int) -> None:
    """Ten times the multiplier, ten times the quoted price, a tenth of size and lot: every result is the same."""
    assert run(steps, factor=factor) == run(steps)


@settings(max_examples=40)
@given(steps)
def test_depth_behind_what_is_walked_changes_nothing(steps: list[Step]) -> None:
    """Levels that no walk comes to are never seen, in signals, windows or anomalies."""
    assert run(steps, behind=True) == run(steps)


sides = st.lists(
    st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=8, unique_by=lambda level: level[0]
)
fees = st.integers(0, 60).map(lambda bps: bps * FRACTION_SCALE // 10_000)
costs_of = st.builds(Costs, fees, fees, fees, st.sampled_from([1, 2]))


def walked(asks: Levels, bids: Levels, limit: int, lot: int, costs: Costs) -> Walk:
    """A walk through asks from 1001 upward and bids from 1029 downward: the first levels pay, the last do not."""
    up = sorted((1000 + away, size) for away, size in asks)
    down = sorted(((1030 - away, size) for away, size in bids), reverse=True)
    return walk(iter(up), iter(down), limit, lot, costs)


def net_before_carry(done: Walk, costs: Costs) -> int:
    """What `costs` leave of a walk, on the basis that they were made for."""
    return Amounts.of(done, costs, 0).net


@given(sides, sides, st.integers(1, 200_000), st.integers(1, 9), costs_of, st.tuples(fees, fees, fees))
def test_a_higher_cost_never_raises_the_net(
    asks: Levels, bids: Levels, limit: int, lot: int, costs: Costs, more: tuple[int, int, int]
) -> None:
    """Neither by the fee or slippage itself nor by walking another way: net before carry, on either basis."""
    dearer = Costs(costs.buy_fee + more[0], costs.sell_fee + more[1], costs.slippage + more[2], costs.turns)
    before, after = (walked(asks, bids, limit, lot, each) for each in (costs, dearer))

    assert net_before_carry(after, dearer) <= net_before_carry(before, costs)
    assert after.size <= before.size


@given(sides, sides, st.integers(1, 200_000), costs_of, st.integers(1, 200_000))
def test_no_smaller_size_has_a_higher_net(asks: Levels, bids: Levels, limit: int, costs: Costs, less: int) -> None:
    """Lots aside: every unit that was taken added to net before carry."""
    assume(less <= limit)

    smaller, whole = (walked(asks, bids, bound, 1, costs) for bound in (less, limit))

    assert smaller.size <= whole.size
    assert net_before_carry(smaller, costs) <= net_before_carry(whole, costs)


@given(sides, sides, costs_of)
def test_no_larger_size_has_a_higher_net(asks: Levels, bids: Levels, costs: Costs) -> None:
    """Where the price ended a walk, going on would have taken from net before carry."""
    best = walked(asks, bids, 10**9, 1, costs)
    assume(best.end is WalkEnd.PRICE)
    without = Costs(0, 0, 0, 1)._replace(buy_fee=-FRACTION_SCALE // 2)  # an ask that costs half: always worth it

    further = walked(asks, bids, 10**9, 1, without)

    assert further.size >= best.size
    assert net_before_carry(further, costs) <= net_before_carry(best, costs)
