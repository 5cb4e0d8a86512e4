"""A connection's seconds: each told once, by the epoch, with latencies as the clocks stood and corrected."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.metrics import PRODUCER
from mts_stream.wire.results import ConnectionQuality as Message
from mts_stream.wire.results import parse_quality
from producers.clock_offset import ClockOffset
from producers.quality import LATENCIES_MAX, UNTOLD_SECONDS_MAX, ConnectionQuality, Shared
from tests.producers.fakes import S

START = 1_700_000_000 * S
MS = 1_000_000


def quality() -> ConnectionQuality:
    """Of a connection of Binance."""
    return ConnectionQuality("q-0", "binance", "perp")


def told(one: ConnectionQuality, now_ns: int, shared: Shared | None = None) -> list[Message]:
    """The messages of a tick, as they are read."""
    found = [parse_quality(value) for value in one.messages(now_ns, 7, shared or Shared())]
    return [message for message in found if isinstance(message, Message)]


def frame(one: ConnectionQuality, at_ns: int, late_ms: float = 10) -> None:
    """A frame comes so many ms after its exchange time."""
    one.on_frame("depth", 100, at_ns, round((at_ns - late_ms * MS) / MS))


def test_a_frame_counts_in_the_second_that_it_came_in() -> None:
    """Whenever the ticks are: window_start_ns is a whole second, and its frames are those received in it.

    second   |0            |1            |2
    frames     a       b     c
    tick            ^              ^               1: none has ended, 2: second 0, later: second 1
    """
    one = quality()
    frame(one, START + S // 10)
    assert told(one, START + S // 2) == []
    frame(one, START + S - 1)
    frame(one, START + S)
    [first] = told(one, START + S + S // 2)
    [second] = told(one, START + 2 * S + S // 2)

    assert (first.window_start_ns, first.window_ms, first.frames, first.bytes) == (START, 1000, 2, 200)
    assert (second.window_start_ns, second.frames) == (START + S, 1)


@given(st.lists(st.tuples(st.integers(0, 3 * S), st.booleans()), min_size=1))
def test_no_second_is_told_twice_and_no_frame_is_lost(steps: list[tuple[int, bool]]) -> None:
    """Frames and ticks at any times: seconds rise, each second that ended is told, frames add up."""
    one, now_ns, frames, seconds = quality(), START, 0, list[Message]()
    for step_ns, is_tick in [*steps, (S, True)]:
        now_ns += step_ns
        if is_tick:
            seconds += told(one, now_ns)
        else:
            frames += 1
            frame(one, now_ns)
            seconds += told(one, now_ns)
    starts = [message.window_start_ns for message in seconds]

    assert sum(message.frames for message in seconds) == frames
    assert all(start % S == 0 for start in starts)
    assert all(b - a == S for a, b in itertools.pairwise(starts))


def test_seconds_that_nobody_watched_are_not_told() -> None:
    """A process that slept tells the second it fell asleep in, and goes on with the one it woke in."""
    one = quality()
    frame(one, START)
    asleep_ns = (UNTOLD_SECONDS_MAX + 5) * S
    assert [m.window_start_ns for m in told(one, START + asleep_ns)] == [START]
    assert [m.window_start_ns for m in told(one, START + asleep_ns + S)] == [START + asleep_ns]


def test_latencies_stand_beside_the_corrected_ones() -> None:
    """Negative where the exchange's clock is ahead; the offset puts them right, and says how far it may be off."""
    one = quality()
    for late_ms in (-1270, -1265, -1260.5, -1200):
        frame(one, START + 1, late_ms)
    [message] = told(one, START + S, Shared(clock=ClockOffset(1_272_500_000, 4_000_000)))

    assert (message.latency_p50_ms, message.latency_p90_ms, message.latency_max_ms) == ("-1260", "-1200", "-1200")
    assert (message.clock_offset_ms, message.clock_offset_error_ms) == ("1272.5", "4")
    assert (message.latency_corrected_p50_ms, message.latency_corrected_max_ms) == ("12.5", "72.5")
    assert message.latency_corrected_p99_ms == "72.5"


@pytest.mark.parametrize("frames", [0, 3])
def test_without_an_offset_nothing_is_corrected(frames: int) -> None:
    """Null is unknown, never 0."""
    one = quality()
    one.on_books(START, 0, 0)
    for _ in range(frames):
        frame(one, START)
    [message] = told(one, START + S)

    assert (message.latency_p50_ms is None) == (frames == 0)
    assert message.clock_offset_ms is message.latency_corrected_p50_ms is message.valid_percent is None


def test_what_is_shared_is_told_by_each() -> None:
    """Queues and the REST budget, with what the venue itself reports where it does."""
    one = quality()
    one.on_reconnect(START)
    one.on_resync(START, "gap")
    one.on_resync(START, "crossed")
    shared = Shared(5, queued_snapshots=2, rest_weight_spent=40, rest_weight_reported=55, rest_weight_budget=1200)
    [message] = told(one, START + S, shared)

    assert (message.queued_records, message.queued_snapshots) == (5, 2)
    assert (message.rest_weight_spent, message.rest_weight_reported, message.rest_weight_budget) == (40, 55, 1200)
    assert (message.reconnects, message.gaps, message.resyncs) == (1, 1, 2)
    assert message.resyncs_by_reason == {"gap": 1, "crossed": 1}


def test_a_flood_of_frames_is_counted_and_its_latencies_bounded() -> None:
    """All frames count; the latencies of the first of them stand for the second."""
    one = quality()
    for _ in range(LATENCIES_MAX):
        frame(one, START)
    frame(one, START, 500)
    [message] = told(one, START + S)
    assert (message.frames, message.latency_max_ms) == (LATENCIES_MAX + 1, "10")


def test_the_newest_second_is_in_the_metrics() -> None:
    """In seconds and shares; what is not known is no number."""

    def value(name: str, **labels: Any) -> float | None:
        return PRODUCER.get_sample_value(name, labels)

    one = ConnectionQuality("q-metrics", "binance", "perp")
    one.on_books(START, 1, 4)
    frame(one, START + 1, 25)
    told(one, START + S, Shared(1, 2, 3, None, 5, ClockOffset(5 * MS, MS)))

    assert value("mts_feed_latency_seconds", conn="q-metrics", quantile="p99") == pytest.approx(0.025)
    assert value("mts_feed_latency_corrected_seconds", conn="q-metrics", quantile="p99") == pytest.approx(0.03)
    assert value("mts_books_valid_ratio", conn="q-metrics") == 0.25
    assert value("mts_snapshots_waiting", venue="binance", market="perp") == 2
    assert value("mts_rest_weight_budget", venue="binance", market="perp") == 5
    told(one, START + 2 * S)
    unknown = value("mts_feed_latency_seconds", conn="q-metrics", quantile="p99")
    assert unknown is not None and unknown != unknown
