"""What is odd about a funding: told once, with the record that shows it."""

import json
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pytest

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.funding_anomalies import FundingWatch
from mts_stream.domain.messages import FundingAnomaly
from tests.domain.builders import PAIR, T0, Bench, funding, instrument, registry

RATE = 10**14  # a basis point


def watch(**changes: Any) -> FundingWatch:
    """Three changes are a history; odd at score 2, usual again below 1."""
    values: dict[str, Any] = {
        "funding_anomaly_changes": 3, "anomaly_enter_score": Decimal(2), "anomaly_leave_score": Decimal(1),
    }  # fmt: skip
    return FundingWatch(EconomicSettings(**(values | changes)))


def told(watched: FundingWatch, rates: list[float]) -> list[tuple[int, str]]:
    """Which rate, by its place, was odd in which way; in basis points."""
    return [(n, f.kind) for n, rate in enumerate(rates) for f in watched.on_funding(int(rate * RATE), 8)]


def test_a_rate_beyond_its_history_is_told_once() -> None:
    """Again only after it was back; a repeated rate is no news and no history."""
    assert told(watch(), [1, 2, 3, 3, 30, 31, 32, 33]) == [(4, "rate")]
    assert told(watch(), [1, 2, 3, 30, 2, 3, 2.5, 30]) == [(3, "rate"), (7, "rate")]
    assert told(watch(), [1, 2, 30]) == []


def test_a_sign_flips_once() -> None:
    """From paying to being paid; what is nearer to zero than the floor has no sign."""
    many = {"funding_anomaly_changes": 100}
    assert told(watch(**many), [1, -1, -2, 1]) == [(1, "sign_flip"), (3, "sign_flip")]
    assert told(watch(**many), [1, -0.0999, 0.05, 0, 1, -0.1]) == [(5, "sign_flip")]
    assert told(watch(**many), [-0.05, 1]) == []


def test_an_interval_changes() -> None:
    """Against the last that was known; none is no interval."""
    watched = watch()
    hours = [None, 8, 8, None, 4, 4]

    found = [[(f.kind, f.previous_interval_hours) for f in watched.on_funding(None, interval)] for interval in hours]

    assert found == [[], [], [], [], [("interval", 8)], []]


@pytest.mark.parametrize("cut", range(8))
def test_a_watch_survives_a_checkpoint(cut: int) -> None:
    """Restored anywhere it goes on as it would have."""
    rates = [1, 2, 3, 30, 2, 3, -2.5, 30]
    first, second, undisturbed = watch(), watch(), watch()
    expected = told(undisturbed, rates)
    told(first, rates[:cut])
    second.restore(json.loads(json.dumps(first.snapshot())))

    assert [(n + cut, kind) for n, kind in told(second, rates[cut:])] == [f for f in expected if f[0] >= cut]
    assert second.snapshot() == undisturbed.snapshot()


def anomalies(bench: Bench) -> list[FundingAnomaly]:
    """Those that came out."""
    return [m for m in bench.messages if isinstance(m, FundingAnomaly)]


def test_the_message_names_its_record() -> None:
    """Leg, record and values as they stand on the topic; the baseline stands only where one was used."""
    bench = Bench(EconomicSettings(funding_anomaly_changes=2, anomaly_enter_score=Decimal(1)))
    bench.feed(registry(), *(funding("bybit:perp", rate, 1000, 8, conn="y") for rate in ("0.0001", "0.0002")))
    bench.feed(funding("bybit:perp", "-0.003", 1000, 4, conn="y", at_ms=5, seq=9))

    rate, flip, interval = anomalies(bench)

    record = "bybit/perp/BTCUSDT/y/1/9"
    assert rate.id == str(uuid5(NAMESPACE_OID, f"mts|funding-anomaly|{PAIR}|bybit:perp|rate|{record}"))
    assert (rate.venue, rate.market, rate.symbol, rate.message_id) == ("bybit", "perp", "BTCUSDT", record)
    assert (rate.rate, rate.previous_rate) == ("-0.003", "0.0002")
    assert (rate.interval_hours, rate.previous_interval_hours, rate.event_time_ns) == (4, 8, T0 + 5 * 10**6)
    assert (rate.median_bps, rate.mad_bps, rate.score) == ("1.5", "0.5", "-42.4935")
    assert [(a.kind, a.score) for a in (flip, interval)] == [("sign_flip", None), ("interval", None)]
    assert len({a.id for a in (rate, flip, interval)}) == 3


def test_the_registrys_interval_counts_where_the_ticker_states_none() -> None:
    """Binance states the interval by its instrument list alone; a spot leg has no funding."""
    bench = Bench()
    legs = [instrument("binance:perp"), instrument("bybit:spot")]
    bench.feed(registry(*legs))
    changed = [instrument(leg.leg, funding_interval_hours=4) for leg in legs]
    bench.feed(registry(*changed, at_ms=7))

    [anomaly] = anomalies(bench)

    assert (anomaly.kind, anomaly.venue, anomaly.interval_hours) == ("interval", "binance", 4)
    assert anomaly.message_id == f"mts/all/{PAIR}/registry/1/1"


def test_a_quarantined_pair_has_no_anomalies() -> None:
    """It goes on to be remembered: what was odd in quarantine is not told when that ends."""
    bench = Bench()
    bench.feed(registry(quarantined="apart"), funding("bybit:perp", "0.001", 1000, 8, conn="y"))
    bench.feed(funding("bybit:perp", "-0.001", 1000, 4, conn="y"), registry(at_ms=1))

    assert anomalies(bench) == []
