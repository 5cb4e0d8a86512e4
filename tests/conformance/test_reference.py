"""The engine against the plain Decimal reference, over random logs and random settings."""

import json
import os
from collections import Counter
from decimal import Decimal
from itertools import cycle
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mts_stream.domain.engine import CLOCK_KEY, PartitionEngine
from mts_stream.errors import BadRecordError
from mts_stream.settings import load_settings
from mts_stream.wire.codec import decode_record, encode_message
from tests.conformance import reference
from tests.conformance.random_log import RandomLog, as_lines
from tests.domain.kernels import available

EXAMPLES = int(os.environ.get("CONFORMANCE_EXAMPLES", "150"))
RECORDS = 80

variables = st.fixed_dictionaries(
    {
        "ARBITRAGE_MIN_PROFIT_USD": st.sampled_from(["-20", "0", "0.01", "0.5"]),
        "ARBITRAGE_MIN_PROFIT_BPS": st.sampled_from(["-50", "0", "3.25"]),
        "MIN_NOTIONAL": st.sampled_from(["0", "1", "20"]),
        "MAX_NOTIONAL": st.sampled_from(["333.3", "900", "50000"]),
        "MAX_DEPTH_SHARE": st.sampled_from(["1", "1", "0.5", "0.37"]),
        "MAX_EDGE_BPS": st.sampled_from(["45", "150", "1000"]),
        "SLIPPAGE_BPS": st.sampled_from(["0", "0.3", "1"]),
        "HOLDING_HOURS": st.sampled_from(["0", "1", "8", "30.5"]),
        "NET_BASIS": st.sampled_from(["auto", "entry", "round_trip"]),
        "SILENT_AFTER_MS": st.sampled_from(["1000", "3000"]),
        "MAX_FEED_LAG_MS": st.sampled_from(["0", "400"]),
        "ROUTES": st.sampled_from(["perp>perp,spot>spot,spot>perp", "perp>spot,perp>perp"]),
        "SAME_VENUE_ROUTES": st.sampled_from(["", "spot>perp,perp>spot"]),
        "FUNDING_HORIZON_HOURS": st.sampled_from(["0", "2", "24", "33.5"]),
        "FUNDING_MIN_NET_BPS": st.sampled_from(["-60", "0", "5"]),
        "ANOMALY_WINDOW_S": st.sampled_from(["2", "6", "30"]),
        "ANOMALY_MIN_WINDOWS": st.sampled_from(["1", "2"]),
        "ANOMALY_ENTER_SCORE": st.sampled_from(["0.5", "2.5"]),
        "ANOMALY_LEAVE_SCORE": st.sampled_from(["0", "0.25", "0.5"]),
        "ANOMALY_FLOOR_BPS": st.sampled_from(["0.1", "3"]),
        "ANOMALY_MIN_DURATION_S": st.sampled_from(["1", "2"]),
        "ANOMALY_COOLDOWN_S": st.sampled_from(["0", "3"]),
        "FUNDING_ANOMALY_CHANGES": st.sampled_from(["2", "3"]),
    }
)


EAGER = {  # settings under which everything happens often
    "ARBITRAGE_MIN_PROFIT_USD": "0", "ARBITRAGE_MIN_PROFIT_BPS": "0", "MIN_NOTIONAL": "1", "FUNDING_MIN_NET_BPS": "0",
    "ANOMALY_WINDOW_S": "6", "ANOMALY_MIN_WINDOWS": "1", "ANOMALY_ENTER_SCORE": "0.5", "ANOMALY_LEAVE_SCORE": "0.5",
    "ANOMALY_MIN_DURATION_S": "1", "ANOMALY_COOLDOWN_S": "0", "FUNDING_ANOMALY_CHANGES": "2",
}  # fmt: skip
WANTED = {
    ("arbitrage.opened",), ("arbitrage.updated",), ("arbitrage.closed", "no_edge"), ("arbitrage.closed", "book_silent"),
    ("funding.opened",), ("funding.closed", "book_silent"), ("funding.closed", "below_threshold"),
    ("funding.anomaly", "rate"), ("funding.anomaly", "sign_flip"), ("funding.anomaly", "interval"),
    ("spread.anomaly", "started"), ("spread.anomaly", "ended", "reverted"), ("spread.anomaly", "ended", "quarantined"),
    ("spread.anomaly", "ended", "no_valid_book"),
}  # fmt: skip


@pytest.mark.timeout(3600)
@settings(max_examples=EXAMPLES)
@given(st.integers(0, 2**63), st.integers(1, RECORDS), variables)
def test_the_engine_equals_the_reference(seed: int, records: int, chosen: dict[str, str]) -> None:
    """Signals, windows and dead letters are the same, to the last digit, whatever comes."""
    log = RandomLog(Random(seed)).lines(records)
    expected_messages, expected_rows, expected_judged, expected_dead = reference.run(log, **chosen)

    messages, dead = run(log, chosen)

    assert dead == expected_dead
    agree([m for m in messages if m.get("type", "").startswith("arbitrage.")], expected_messages)
    if means_agree([m for m in messages if "outcomes" in m], expected_rows):
        others = ("funding.opened", "funding.closed", "funding.anomaly", "spread.anomaly")
        agree([m for m in messages if m.get("type") in others], expected_judged)


def test_random_logs_reach_every_kind_of_signal() -> None:
    """Two hundred logs have each type, phase, kind and reason: the comparison above is not of nothing."""
    reached: Counter[tuple[str, ...]] = Counter()
    for seed in range(200):
        for m in run(RandomLog(Random(seed)).lines(RECORDS), EAGER)[0]:
            reached[tuple(str(m[k]) for k in ("type", "phase", "kind", "reason") if m.get(k))] += 1

    assert reached.keys() >= WANTED


def test_checkpoints_hold_everything() -> None:
    """An engine that is thrown away and restored after every record, each time on the other kernel, says the same."""
    kernels = cycle(available())
    economics = load_settings(**{name.lower(): value for name, value in EAGER.items()}).economics()
    for seed in range(12):
        engine, expected = PartitionEngine(economics), PartitionEngine(economics)
        for offset, line in enumerate(as_lines(RandomLog(Random(seed)).lines(RECORDS))):
            successor = PartitionEngine(economics, next(kernels))
            for key in [CLOCK_KEY, *engine.pairs]:
                successor.restore(key, engine.snapshot(key))
            engine = successor
            assert results(engine, line, offset) == results(expected, line, offset)


def results(engine: PartitionEngine, line: bytes, offset: int) -> list[bytes] | None:
    """What a record led to; None for a dead letter."""
    try:
        return [encode_message(message) for message in engine.on_event(decode_record(line), offset).messages]
    except BadRecordError:
        return None


def run(log: list[dict[str, Any]], chosen: dict[str, str]) -> tuple[list[dict[str, Any]], int]:
    """The engine's results as they stand on the topics, and its dead letters."""
    engine = PartitionEngine(load_settings(**{name.lower(): value for name, value in chosen.items()}).economics())
    told = [results(engine, line, offset) for offset, line in enumerate(as_lines(log))]
    return [json.loads(message) for messages in told for message in messages or ()], told.count(None)


def agree(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Every field that is expected is found, message by message."""
    assert [{key: m.get(key, "missing") for key in e} for m, e in zip(found, expected, strict=False)] == expected
    assert len(found) == len(expected)


def means_agree(rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> bool:
    """Whether the rows' means are the same, as all else must be.

    The mean is weighed on a grid of 10^-16: it may differ in the last digit where it lies on a tie.
    """
    assert len(rows) == len(expected)
    same = True
    for row, other in zip(rows, expected, strict=True):
        mine, theirs = row.pop("edge_mean_bps"), other.pop("edge_mean_bps")
        assert row == other
        same = same and mine == theirs
        if mine is None or theirs is None:
            assert mine == theirs
        else:
            assert abs(Decimal(mine) - Decimal(theirs)) <= Decimal("0.0001")
    return same
