"""An evaluation taken apart agrees with what the engine said, to the last digit, whatever the outcome."""

import gzip
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.explanation import Explanation, Gate, explain
from mts_stream.domain.fees import BEGINNING, Fee, FeeSchedule
from mts_stream.domain.messages import ArbitrageClosed, ArbitrageMessage
from mts_stream.errors import BadRecordError
from mts_stream.settings import load_settings
from mts_stream.wire.codec import decode_record
from tests.domain.builders import (
    MS,
    PAIR,
    T0,
    Bench,
    both_fundings,
    funding,
    instrument,
    keyframe,
    registry,
    snapshot,
    status,
)

CAPTURES = Path(__file__).parents[1] / "data" / "conformance"
DIRECTION = "binance:perp>bybit:perp"
TIGHT = {
    "min_notional": "20",
    "max_notional": "900",
    "arbitrage_min_profit_usd": "0.05",
    "arbitrage_min_profit_bps": "1",
}


def seen(bench: Bench, direction: str = DIRECTION) -> Explanation:
    """The last evaluation of a direction."""
    engine = bench.engine.pairs[PAIR].engine
    return explain(engine, engine.directions[direction])


def market(
    bids: str = "110 4, 109 3", asks: str = "100 2, 101 3", *, rates: Any = ("0", "0"), **settings: Any
) -> Bench:
    """Two perps, the bids of the one above the asks of the other."""
    values = {"min_profit_usd": Decimal(0), "min_notional": Decimal(0)} | {
        name: Decimal(value) for name, value in settings.items()
    }
    bench = Bench(EconomicSettings(**values))
    bench.feed(registry(instrument("binance:perp"), instrument("bybit:perp")), *both_fundings(*rates))
    bench.feed(keyframe("binance:perp", "50 1", asks), snapshot("bybit:perp", bids, "300 1", conn="y"))
    return bench


def gate(explained: Explanation, outcome: str, unit: str = "") -> Gate:
    """The first gate that gives an outcome."""
    return next(g for g in explained.gates if g.outcome == outcome and unit in g.unit)


@pytest.mark.parametrize("name", ["btc", "random-a"])
def test_every_evaluation_is_explained_as_it_was_judged(name: str) -> None:
    """The first gate missed is the outcome, of a whole capture, and every signal has its amounts."""
    engine, outcomes, compared = PartitionEngine(load_settings(**TIGHT).economics()), Counter[str](), 0
    with gzip.open(CAPTURES / f"{name}.jsonl.gz") as file:
        for offset, line in enumerate(file):
            try:
                event = decode_record(line)
                messages = engine.on_event(event, offset).messages
            except BadRecordError:
                continue
            for message in messages:
                if isinstance(message, ArbitrageMessage) and not isinstance(message, ArbitrageClosed):
                    pair = engine.pairs[message.pair].engine
                    explained = explain(pair, pair.directions[message.direction])
                    assert explained.amounts is not None
                    assert explained.amounts == {name: getattr(message, name) for name in explained.amounts}
                    assert [leg.message_id for leg in explained.legs] == [leg.message_id for leg in message.legs]
                    compared += 1
            if offset % 61 == 0 and event.origin.pair in engine.pairs:
                pair = engine.pairs[event.origin.pair].engine
                outcomes.update(explain(pair, direction).outcome for direction in pair.directions.values())

    assert compared > 5 and len(outcomes) > 5, outcomes


def test_each_cost_can_be_followed() -> None:
    """Fees by leg with group and date, the settlements that count one by one, and the sums of the message."""
    bench = market(rates=("0.0001", "-0.0002"), holding_hours="9")
    explained = seen(bench)
    buy, sell = explained.legs
    assert explained.amounts is not None and buy.funding is not None and sell.funding is not None

    assert (buy.fee_bps, buy.fee_group, buy.fee_group_in_force, buy.fee_valid_from) == (
        "5", "default", "default", "1970-01-01",
    )  # fmt: skip
    assert buy.fees_usd == str(Decimal(explained.amounts["buy_notional"]) * 5 / 10_000).rstrip("0")
    assert Decimal(buy.fees_usd or 0) + Decimal(sell.fees_usd or 0) == Decimal(explained.amounts["fees_usd"])
    assert buy.funding.settlements_ns == [T0 + 3_600_000 * MS, T0 + 9 * 3_600_000 * MS]
    assert (buy.funding.rates, sell.funding.rates) == ("0.0002", "-0.0004")
    assert Decimal(explained.amounts["carry_usd"]) == Decimal(explained.amounts["buy_notional"]) * (
        Decimal("-0.0004") - Decimal("0.0002")
    )


def test_a_dated_fee_of_a_group_is_named() -> None:
    """The leg's own group where it has a fee in force, else the default's, with the date it holds from."""
    fees = [Fee(venue, "perp", "default", Decimal(5), BEGINNING) for venue in ("binance", "bybit")]
    bench = Bench(EconomicSettings(fees=FeeSchedule(fees)))
    bench.feed(registry(instrument("binance:perp", fee_group="vip"), instrument("bybit:perp")))

    buy, sell = seen(bench).legs

    assert (buy.fee_group, buy.fee_group_in_force) == ("vip", "default")
    assert (sell.fee_group, sell.fee_group_in_force) == ("default", "default")


@pytest.mark.parametrize(
    ("bench", "outcome", "actual", "margin"),
    [
        (market(bids="100.1 4"), "no_edge", "10", "-13.0276"),
        (market(max_edge_bps="900"), "implausible", "1000", "-100"),
        (market(min_notional="600"), "min_notional", "503", "-97"),
        (market(min_profit_usd="500"), "below_threshold", None, None),
    ],
)
def test_a_missed_gate_says_by_how_much(bench: Bench, outcome: str, actual: str | None, margin: str | None) -> None:
    """What there was, what was asked for, and what was missing."""
    explained = seen(bench)
    missed = next(g for g in explained.gates if g.passed is False)

    assert explained.outcome == missed.outcome == outcome
    if actual is not None:
        assert (missed.actual, missed.margin) == (actual, margin)
    else:
        assert explained.amounts is not None and missed.required == ">= 500"
        assert Decimal(missed.margin or 0) == Decimal(explained.amounts["net_usd"]) - 500


def test_unknown_funding_says_what_is_missing() -> None:
    """No record, no interval, or a record too long ago."""
    bench = Bench(EconomicSettings())
    bench.feed(registry(instrument("binance:perp", funding_interval_hours=None), instrument("bybit:perp")))
    bench.feed(funding("binance:perp", "0.0001", 3_600_000), keyframe("binance:perp", "50 1", "100 20"))
    bench.feed(snapshot("bybit:perp", "110 20", "300 1", conn="y"))
    explained = seen(bench)
    buy, sell = explained.legs

    assert explained.outcome == "funding_unknown" and explained.amounts is not None
    assert buy.funding is not None and buy.funding.why_unknown == "the venue has not stated its interval"
    assert sell.funding is not None and sell.funding.why_unknown == "no funding record of this leg has come"

    bench.feed(*both_fundings(at_ms=1), snapshot("bybit:perp", "110 20", "300 1", conn="y", at_ms=901_500))
    old = seen(bench).legs[0].funding
    assert old is not None and old.why_unknown == "last stated 901 s ago, more than FUNDING_MAX_AGE_S 900"


def test_an_invalid_book_has_no_numbers() -> None:
    """Its gate is missed, what comes after is not judged, and the levels that it holds are shown."""
    bench = market()
    bench.feed(status("down"))
    explained = seen(bench)

    assert explained.outcome == "book_disconnected" and explained.walk is None and explained.amounts is None
    assert gate(explained, "book_disconnected").actual == "disconnected"
    assert gate(explained, "no_edge").passed is None and gate(explained, "below_threshold").passed is None
    assert [level.cumulative_usd for level in explained.legs[0].asks] == ["200", "503"]
