"""What a status record leads to may wait, and most pairs it does not concern: what comes out of a pair is the same."""

from collections import defaultdict
from itertools import cycle, zip_longest
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mts_stream.domain.engine import CLOCK_KEY, PartitionEngine
from mts_stream.domain.market_data import ConnectionStatus
from mts_stream.domain.messages import Message
from mts_stream.domain.pair_engine import PairEngine
from mts_stream.domain.rejection import BadRecordError
from mts_stream.settings import load_settings
from mts_stream.wire.codec import decode_record, encode_message
from tests.conformance.random_log import RandomLog, as_lines
from tests.domain.builders import Bench, instrument, keyframe, registry, status
from tests.domain.kernels import available

PAIRS = ("AAA-USDT", "BBB-USDT", "CCC-USDT")
RECORDS = 60
Results = dict[str, list[bytes]]


def random_log(seed: int) -> list[bytes]:
    """Records of three pairs; two share their connections, the third has its own."""
    logs = [_renamed(RandomLog(Random(seed + number)).lines(RECORDS), number) for number in range(len(PAIRS))]
    in_turn = [record for records in zip_longest(*logs) for record in records if record is not None]
    return as_lines(sorted(in_turn, key=lambda record: int(record["received_ns"]) // 10**9))


def _renamed(records: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    for record in records:
        if record["pair"]:
            record["pair"] = PAIRS[number]
            if record["channel"] == "instruments":
                record["symbol"] = record["frame"]["pair"] = PAIRS[number]
        if number == 2 and record["channel"] != "instruments":
            record["conn"] += "-own"
    return records


def by_the_rule(lines: list[bytes], economics: Any) -> Results:
    """DESIGN section 5: a status record is handled by every pair, when it comes."""
    engines: dict[str, PairEngine] = {}
    told: Results = defaultdict(list)
    clock_ns = 0
    for line in lines:
        out: list[Message] = []
        try:
            event = decode_record(line)
            if isinstance(event, ConnectionStatus):
                clock_ns = max(clock_ns, event.origin.received_ns)
                for engine in engines.values():
                    engine.on_event(event, out)
            else:
                pair = event.origin.pair
                engine = engines.get(pair) or PairEngine(pair, economics, clock_ns, available()[0])
                engine.on_event(event, out)
                engines[pair] = engine
        except BadRecordError:
            continue
        _tell(told, out)
    return told


def _tell(told: Results, messages: list[Message]) -> None:
    for message in messages:
        told[message.pair].append(encode_message(message))


class Lazy:
    """An engine whose pairs owe what can wait, now and then settled, now and then restored from checkpoints."""

    def __init__(self, economics: Any, rng: Random) -> None:
        self._economics, self._rng = economics, rng
        self._kernels = cycle(available())
        self._engine = PartitionEngine(economics, next(self._kernels))
        self.told: Results = defaultdict(list)

    def run(self, lines: list[bytes]) -> Results:
        """All of a log."""
        for offset, line in enumerate(lines):
            try:
                event = decode_record(line)
                self._settle([event.origin.pair])
                _tell(self.told, self._engine.on_event(event, offset, owe=True).messages)
            except BadRecordError:
                continue
            if self._engine.owing and self._rng.random() < 0.3:
                self._settle([self._rng.choice(list(self._engine.owing))])
            if self._rng.random() < 0.05:
                self._restart()
        self._settle(list(self._engine.owing))
        return self.told

    def _settle(self, pairs: list[str]) -> None:
        for pair in pairs:
            _tell(self.told, self._engine.settle(pair).messages)

    def _restart(self) -> None:
        self._settle(list(self._engine.owing))
        successor = PartitionEngine(self._economics, next(self._kernels))
        for key in [CLOCK_KEY, *self._engine.pairs]:
            successor.restore(key, self._engine.snapshot(key))
        self._engine = successor


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([300, 1000, 3000]))
def test_what_waits_and_what_is_passed_over_changes_no_result(seed: int, silent_after_ms: int) -> None:
    """At once, or owed and settled in any order with restarts between: each pair says what the rule says."""
    economics = load_settings(
        arbitrage_min_profit_usd=0, arbitrage_min_profit_bps=0, min_notional=1, funding_min_net_bps=0,
        anomaly_window_s=6, anomaly_min_windows=1, anomaly_min_duration_s=1, silent_after_ms=silent_after_ms,
    ).economics()  # fmt: skip
    lines = random_log(seed)
    expected = by_the_rule(lines, economics)

    at_once: Results = defaultdict(list)
    engine = PartitionEngine(economics)
    for offset, line in enumerate(lines):
        try:
            _tell(at_once, engine.on_event(decode_record(line), offset).messages)
        except BadRecordError:
            continue

    assert at_once == expected
    assert Lazy(economics, Random(seed)).run(lines) == expected


def quiet_bench() -> Bench:
    """A pair whose two books hang on the connection `c`, in the middle of a second."""
    bench = Bench()
    bench.feed(
        registry(instrument("binance:perp"), instrument("bybit:perp")),
        keyframe("binance:perp", "99 1", "100 1", at_ms=10), keyframe("bybit:perp", "99 1", "100 1", at_ms=20),
        status("alive", at_ms=30),
    )  # fmt: skip
    return bench


def test_a_pair_without_anything_due_is_not_asked() -> None:
    """A status of another connection costs it nothing, yet its event time is the clock's at its next record."""
    bench = quiet_bench()
    state = bench.engine.pairs["BTC-USDT"]

    bench.feed(status("alive", conn="other", at_ms=700))
    assert state.offset == 3

    bench.feed(keyframe("binance:perp", "98 1", "100 1", last_id=11, at_ms=600))
    assert (state.offset, state.engine.event_time_ns) == (5, bench.engine.clock.ticks[-1][1])


def test_a_checkpoint_has_the_event_time_of_the_clock() -> None:
    """A pair that was passed over is restored at the clock's time even where the clock's own checkpoint is lost."""
    bench, successor = quiet_bench(), Bench()
    bench.feed(status("alive", conn="other", at_ms=700))

    successor.engine.restore("BTC-USDT", bench.engine.snapshot("BTC-USDT"))

    assert successor.engine.pairs["BTC-USDT"].engine.event_time_ns == bench.engine.clock.ticks[-1][1]


def test_what_is_owed_is_in_no_checkpoint() -> None:
    """The offset of a status record that waits is pending, and nobody takes a snapshot until it is settled."""
    bench = quiet_bench()
    state = bench.engine.pairs["BTC-USDT"]
    state.pending = None

    handled = bench.engine.on_event(status("alive", conn="other", at_ms=1000), 4, owe=True)

    assert (handled.messages, list(bench.engine.owing), state.pending, state.offset) == ([], ["BTC-USDT"], 4, 3)
    with pytest.raises(AssertionError, match="owes 1 status record"):
        bench.engine.snapshot("BTC-USDT")
    assert len(bench.engine.settle("BTC-USDT").messages) == 2
    assert (bench.engine.owing, state.offset) == ({}, 4)
    assert bench.engine.settle("BTC-USDT").skipped
