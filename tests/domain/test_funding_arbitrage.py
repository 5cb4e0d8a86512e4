"""Two perps held for their funding: carry, cost and break-even by hand, and the life of the opportunity."""

from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pytest

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.funding import Payments, break_even_ns
from mts_stream.domain.messages import FundingClosed, FundingMessage, SpreadWindow
from tests.domain.builders import (
    PAIR,
    T0,
    Bench,
    diff,
    funding,
    instrument,
    keyframe,
    registry,
    snapshot,
    status,
)

DIRECTION = "binance:perp>bybit:perp"
HOUR_MS = 3_600_000
HOUR_NS = HOUR_MS * 10**6


def market(bench: Bench, rate_buy: str = "-0.0002", rate_sell: str = "0.0006") -> None:
    """Ask 100 on Binance, bid 100.1 on Bybit; both settle in an hour, then every 8 and every 4 hours."""
    bench.feed(registry())
    bench.feed(funding("binance:perp", rate_buy, HOUR_MS, 8), funding("bybit:perp", rate_sell, HOUR_MS, 4, conn="y"))
    bench.feed(keyframe("binance:perp", "99 50", "100 50"), snapshot("bybit:perp", "100.1 50", "120 50", conn="y"))


def fundings(bench: Bench) -> list[FundingMessage]:
    """The funding arbitrage's messages so far."""
    return [m for m in bench.messages if isinstance(m, FundingMessage)]


def test_a_funding_arbitrage_opens_with_the_hand_computed_terms() -> None:
    """Carry 3 x 2 + 6 x 6 bps a day, cost 2 x (5 + 5.5) + 4 x 1 - 10 bps, at the end of the first second."""
    bench = Bench()
    market(bench)
    assert fundings(bench) == []
    bench.feed(status("alive", at_ms=1700))

    [opened] = fundings(bench)

    end_ns = T0 + 10**9
    assert (opened.type, opened.pair, opened.direction, opened.event) == ("funding.opened", PAIR, DIRECTION, 0)
    assert opened.event_time_ns == opened.emitted_ns == end_ns
    assert opened.opportunity_id == str(uuid5(NAMESPACE_OID, f"mts|funding|{PAIR}|{DIRECTION}|{end_ns}"))
    assert opened.id == f"{opened.opportunity_id}-0"
    assert (opened.carry_bps, opened.cost_bps, opened.net_bps) == ("42", "15", "27")
    assert opened.break_even_ns == T0 + 9 * HOUR_NS  # 2 + 6, then 6, then 2 + 6
    buy, sell = opened.legs
    assert (buy.side, sell.side) == ("buy", "sell")
    assert (buy.price, buy.average_price, buy.fee_bps, buy.funding_rate) == ("100", "100", "5", "-0.0002")
    assert (sell.price, sell.average_price, sell.book_age_ms) == ("100.1", "100.1", 1000)
    assert sell.next_funding_ns == T0 + HOUR_NS


def test_rows_come_before_what_is_judged_on_them() -> None:
    """At a window's end the rows of all directions come first."""
    bench = Bench()
    market(bench)

    out = bench.feed(status("alive", at_ms=1700))

    assert [type(m) for m in out] == [SpreadWindow, SpreadWindow, FundingMessage]


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([funding("bybit:perp", "0.0001", HOUR_MS, 4, conn="y", at_ms=1800)], "below_threshold"),
        ([diff("bybit:perp", "100.1 0, 99 1", "", first_id=0, last_id=11, at_ms=1800, conn="y")], "below_threshold"),
        ([status("down", at_ms=1800)], "book_disconnected"),
        ([status("down", "bybit:perp", at_ms=1800, conn="y")], "book_disconnected"),
        ([registry(quarantined="apart", at_ms=1800)], "quarantined"),
        ([registry(quarantined="apart", at_ms=1800), status("down", at_ms=1800)], "quarantined"),
        ([registry(instrument("binance:perp"), at_ms=1800)], "book_delisted"),
        (
            [
                registry(instrument("binance:perp", funding_interval_hours=None), instrument("bybit:perp")),
                funding("binance:perp", None, None, 0, at_ms=1800),
            ],
            "funding_unknown",
        ),
    ],
)
def test_it_closes_for_the_first_reason_that_holds(events: list[Any], reason: str) -> None:
    """At the end of the second, with the terms of the last second at which it was open."""
    bench = Bench(EconomicSettings(funding_min_net_bps=Decimal(25)))
    market(bench)
    bench.feed(status("alive", at_ms=1700), *events)
    bench.feed(status("alive", at_ms=2400), status("alive", at_ms=4400))

    opened, closed = fundings(bench)

    assert isinstance(closed, FundingClosed)
    assert (closed.type, closed.event, closed.id) == ("funding.closed", 1, f"{opened.opportunity_id}-1")
    assert (closed.reason, closed.duration_ns, closed.event_time_ns) == (reason, 10**9, T0 + 2 * 10**9)
    assert (closed.net_bps, closed.legs, closed.break_even_ns) == ("27", opened.legs, opened.break_even_ns)


def test_the_last_open_seconds_terms_are_told() -> None:
    """Not those of the opening, where they changed meanwhile."""
    bench = Bench()
    market(bench)
    bench.feed(diff("bybit:perp", "100.2 50", "", first_id=0, last_id=11, at_ms=1800, conn="y"))
    bench.feed(status("down", at_ms=2800), status("alive", at_ms=3000))

    assert [m.net_bps for m in fundings(bench)] == ["27", "37"]


@pytest.mark.parametrize(("least", "is_open"), [("27", True), ("27.000000000001", False), ("-100", True)])
def test_the_gate_compares_exactly(least: str, is_open: bool) -> None:
    """It opens at its number and not a billionth before; below zero the dearer direction opens as well."""
    bench = Bench(EconomicSettings(funding_min_net_bps=Decimal(least)))
    market(bench)
    bench.feed(status("alive", at_ms=1700))

    assert bool(fundings(bench)) is is_open


def test_old_funding_is_unknown() -> None:
    """Heard of more than FUNDING_MAX_AGE_S before the window's end, it carries nothing."""
    bench = Bench(EconomicSettings(funding_max_age_s=2, silent_after_ms=60_000))
    market(bench)
    bench.feed(status("alive", at_ms=9000))

    assert [(m.type, m.event_time_ns) for m in fundings(bench)] == [
        ("funding.opened", T0 + 10**9),
        ("funding.closed", T0 + 3 * 10**9),
    ]


def test_a_leg_that_is_spot_has_no_funding_arbitrage() -> None:
    """Both legs are perps or there is none."""
    bench = Bench()
    bench.feed(registry(instrument("binance:spot"), instrument("bybit:perp")))
    bench.feed(funding("bybit:perp", "0.01", HOUR_MS, 4, conn="y"), keyframe("binance:spot", "99 50", "100 50"))
    bench.feed(snapshot("bybit:perp", "101 50", "120 50", conn="y"), status("alive", at_ms=1700))

    assert bench.windows and fundings(bench) == []


def test_an_open_one_survives_a_checkpoint() -> None:
    """Restored it closes as it would have without the restart."""
    bench, successor = Bench(), Bench()
    market(bench)
    bench.feed(status("alive", at_ms=1700))
    successor.engine.restore(PAIR, bench.engine.snapshot(PAIR))
    successor.offset = bench.offset
    end = [status("down", at_ms=1800), status("alive", at_ms=2400)]

    assert successor.feed(*end) == bench.feed(*end)
    assert successor.engine.snapshot(PAIR) == bench.engine.snapshot(PAIR)


@pytest.mark.parametrize(
    ("cost", "expected"),
    [(-1, 10), (3, 10), (4, 14), (5, 18), (6, 20), (8, 22), (9, None)],
)
def test_break_even_is_the_first_settlement_that_covers_the_cost(cost: int, expected: int | None) -> None:
    """Settlements at one time count together; the horizon is counted in.

    at        10   14   18   20   22
    one leg    1    1    1         1
    other      2              2
    running    3    4    5    7    8
    """
    payments = [Payments(10, 4, 1), Payments(10, 10, 2)]

    assert break_even_ns(payments, 22, cost, 1) == expected


def test_running_carry_may_fall_before_it_covers() -> None:
    """A leg that pays first only delays it; one that only pays never covers; no leg covers nothing."""
    assert break_even_ns([Payments(1, 4, -5), Payments(2, 1, 2)], 99, 2, 1) == 7
    assert break_even_ns([Payments(1, 4, -5)], 99, 0, 1) is None
    assert break_even_ns([], 99, 0, 1) is None
