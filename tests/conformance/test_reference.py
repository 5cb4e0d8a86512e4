"""The engine against the plain Decimal reference, over random logs and random settings."""

import json
import os
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.messages import ArbitrageMessage, SpreadWindow
from mts_stream.errors import BadRecordError
from mts_stream.settings import load_settings
from mts_stream.wire.codec import decode_record, encode_message
from tests.conformance import reference
from tests.conformance.random_log import RandomLog, as_lines

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
    }
)


@pytest.mark.timeout(3600)
@settings(max_examples=EXAMPLES)
@given(st.integers(0, 2**63), st.integers(1, RECORDS), variables)
def test_the_engine_equals_the_reference(seed: int, records: int, chosen: dict[str, str]) -> None:
    """Messages, windows and dead letters are the same, to the last digit, whatever comes."""
    log = RandomLog(Random(seed)).lines(records)
    expected_messages, expected_rows, expected_dead = reference.run(log, **chosen)

    engine = PartitionEngine(load_settings(**{name.lower(): value for name, value in chosen.items()}).economics())
    messages: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    dead = 0
    for offset, line in enumerate(as_lines(log)):
        try:
            handled = engine.on_event(decode_record(line), offset)
        except BadRecordError:
            dead += 1
            continue
        for message in handled.messages:
            if isinstance(message, ArbitrageMessage):
                messages.append(json.loads(encode_message(message)))
            elif isinstance(message, SpreadWindow):
                rows.append(json.loads(encode_message(message)))

    assert dead == expected_dead
    assert [{key: m[key] for key in e} for m, e in zip(messages, expected_messages, strict=True)] == expected_messages
    assert len(rows) == len(expected_rows)
    for row, expected in zip(rows, expected_rows, strict=True):
        _close(row, expected)
        assert row == expected


def _close(row: dict[str, Any], expected: dict[str, Any]) -> None:
    """The mean is weighed on a grid of 10^-16: it may differ in the last digit where it lies on a tie."""
    mine, theirs = row.pop("edge_mean_bps"), expected.pop("edge_mean_bps")
    if mine is None or theirs is None:
        assert mine == theirs
    else:
        assert abs(Decimal(mine) - Decimal(theirs)) <= Decimal("0.0001")
