"""A book that looks as before only counts that it does: what comes out is what an engine that evaluates all says."""

import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.fees import BEGINNING, Fee, FeeSchedule
from mts_stream.domain.kernel import Kernel, kernel
from mts_stream.domain.leg import Leg
from mts_stream.domain.rejection import BadRecordError
from mts_stream.wire.codec import decode_record
from tests.conformance.random_log import PAIR, T0, RandomLog, as_lines
from tests.domain.builders import PERPS, Bench, both_fundings, diff, keyframe, registry
from tests.domain.kernels import NAMES, built

MIDNIGHT_NS = 1_700_006_400 * 10**9
CHANGE = date(2023, 11, 15)  # begins then
DIRECTION = ">".join(PERPS)
LEGS = [(venue, market) for venue in ("binance", "bybit") for market in ("spot", "perp")]
EAGER = EconomicSettings(
    min_notional=Decimal(1), min_profit_usd=Decimal(-20), min_profit_bps=Decimal(-50),
    funding_min_net_bps=Decimal(0), anomaly_min_windows=1, anomaly_min_duration_s=1, anomaly_window_s=6,
)  # fmt: skip


OFFSET = re.compile(rb'^\d+\{"v":\d+,"offset":\d+,')
"""Of a checkpoint, and its length: after a restart nothing is heard of connections that the pair once had."""


def fees(before: int, after: int) -> FeeSchedule:
    """In basis points, of every leg, before that midnight and after it."""
    bps = (before, BEGINNING), (after, CHANGE)
    return FeeSchedule(Fee(*leg, "default", Decimal(taker), since) for leg in LEGS for taker, since in bps)


def said(of: Kernel, economics: EconomicSettings, lines: list[bytes], restart: int | None = None) -> list[Any]:
    """All that comes out, and the pair's checkpoint after every tenth record."""
    engine, out = PartitionEngine(economics, of), []
    for offset, line in enumerate(lines):
        try:
            out.append(engine.on_event(decode_record(line), offset))
        except BadRecordError as error:
            out.append(str(error))
        if offset % 10 == 0 and PAIR in engine.pairs:
            out.append(OFFSET.sub(b"", engine.snapshot(PAIR), 1))
        if offset == restart:
            successor = PartitionEngine(economics, of)
            for key in ("@", *engine.pairs):
                successor.restore(key, engine.snapshot(key))
            engine = successor
    return out


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 70), st.sampled_from([-50, 0, 5]), st.permutations([1, 40]))
def test_counting_repeats_changes_nothing(seed: int, restart: int, min_profit: int, taker: list[int]) -> None:
    """Each message and checkpoint is the same: on both kernels, over a midnight with other fees, over a restart."""
    log = RandomLog(Random(seed))
    log.now = MIDNIGHT_NS - 20 * 10**9
    lines = list(as_lines(log.lines(70)))
    economics = replace(EAGER, min_profit_bps=Decimal(min_profit), fees=fees(*taker))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Leg, "looks_as_before", lambda _: False)
        expected = said(kernel("python"), economics, lines)

    assert said(kernel("python"), economics, lines) == expected
    assert said(built("compiled"), economics, lines) == expected
    assert said(built("compiled"), economics, lines, restart) == expected


@pytest.mark.parametrize("name", NAMES)
def test_other_fees_at_midnight_end_what_lasted(name: str) -> None:
    """The book looks as before, and yet the day's first evaluation goes by the day's fees."""
    bench = Bench(replace(EAGER, fees=fees(40, 1)), built(name))
    at_ms = (MIDNIGHT_NS - T0) / 10**6 - 1000
    bench.feed(registry(at_ms=at_ms), *both_fundings(at_ms=at_ms))
    for leg, conn, bids, asks in zip(PERPS, "cy", ("99 5", "101 5"), ("100 5", "102 5"), strict=True):
        bench.feed(keyframe(leg, bids, asks, conn=conn, at_ms=at_ms))
    for number in range(2, 7):
        where = {"at_ms": at_ms + 300 * number, "conn": "y"}
        bench.feed(diff(PERPS[1], f"98 {number}", "", first_id=0, last_id=9 + number, **where))

    assert [signal.type for signal in bench.signals] == ["arbitrage.opened"]
    assert [window.outcomes for window in bench.windows if window.direction == DIRECTION] == [
        {"book_empty": 1, "no_edge": 3}
    ]
    assert bench.engine.pairs["BTC-USDT"].engine.directions[DIRECTION].window.outcomes == {"signal": 3}
