"""A book's minute: where its time went, what became of its records, how late its frames were."""

import pytest

from mts_stream.domain.messages import BookQuality
from tests.domain.builders import PAIR, T0, Bench, diff, keyframe, registry, snapshot, status

PERP, BYBIT = "binance:perp", "bybit:perp"
START_MS = (60 - T0 // 10**9 % 60) * 1000  # the next full minute


@pytest.fixture
def bench() -> Bench:
    """Both perps are listed as a minute begins, and no book is there."""
    bench = Bench()
    bench.feed(registry(at_ms=START_MS))
    return bench


def end_minute(bench: Bench) -> dict[str, BookQuality]:
    """The rows of the first minute by leg; a status of a connection without books ends it."""
    told = bench.feed(status("alive", BYBIT, conn="other", at_ms=START_MS + 60_000))
    return {f"{row.venue}:{row.market}": row for row in told if isinstance(row, BookQuality)}


def delta(last_id: int, bids: str = "99 1", *, at_ms: float, late_ms: float | None = None) -> object:
    """A Bybit delta, so many ms after its exchange time."""
    exchange_ms = None if late_ms is None else START_MS + at_ms - late_ms
    return diff(BYBIT, bids, "", first_id=0, last_id=last_id, at_ms=START_MS + at_ms, exchange_ms=exchange_ms)


def test_a_books_minute_is_told_at_its_end(bench: Bench) -> None:
    """Per book and minute: the time in each state adds up, and what made it invalid is counted."""
    bench.feed(keyframe(PERP, "99 1", "101 1", at_ms=START_MS + 10_000))
    bench.feed(status("down", PERP, at_ms=START_MS + 11_000))

    rows = end_minute(bench)

    assert rows[PERP].states == {"disconnected": 49_000, "empty": 10_000, "valid": 1000}
    assert (rows[PERP].valid_ms, rows[PERP].valid_percent) == (1000, "1.6667")
    assert rows[PERP].invalidations == {"disconnected": 1}
    assert (rows[PERP].records, rows[PERP].applied, rows[PERP].latency_p50_ms) == (1, 1, None)
    assert rows[BYBIT].states == {"empty": 60_000}
    assert (rows[BYBIT].records, rows[BYBIT].valid_percent) == (0, "0")


def test_a_share_is_one_of_the_time_observed() -> None:
    """A book that is listed in mid-minute was not invalid before."""
    bench = Bench()
    bench.feed(registry(at_ms=START_MS + 50_000), keyframe(PERP, "99 1", "101 1", at_ms=START_MS + 50_000))
    bench.feed(*(status("alive", PERP, at_ms=START_MS + second * 1000) for second in range(51, 60)))

    assert end_minute(bench)[PERP].valid_percent == "100"


def test_what_became_of_each_record_is_counted(bench: Bench) -> None:
    """Gaps, stale ones, keyframes that contradict the book, and those that replace one that is not valid."""
    bench.feed(
        snapshot(BYBIT, "99 1", "101 1", last_id=10, at_ms=START_MS + 1),
        delta(11, at_ms=2),
        delta(11, at_ms=3),
        keyframe(BYBIT, "99 1", "101 1", last_id=11, at_ms=START_MS + 4),
        keyframe(BYBIT, "98 1", "101 1", last_id=11, at_ms=START_MS + 5),
        delta(13, at_ms=6),
        delta(14, at_ms=7),
        keyframe(BYBIT, "99 1", "101 1", last_id=14, at_ms=START_MS + 8),
    )

    row = end_minute(bench)[BYBIT]

    assert (row.records, row.applied, row.stale_records) == (8, 4, 1)
    assert (row.gaps, row.resyncs, row.differing_keyframes) == (1, 1, 1)
    assert row.invalidations == {"gap": 1}


def test_latencies_are_those_of_the_exchanges_frames(bench: Bench) -> None:
    """Receive minus exchange time as the clocks stood, below 0 where the exchange's is ahead; keyframes are ours."""
    bench.feed(snapshot(BYBIT, "99 1", "101 1", at_ms=START_MS))
    for number, late_ms in enumerate([-3.5, 5, 5, 5.9, 90], start=11):
        bench.feed(delta(number, at_ms=number, late_ms=late_ms))
    old = keyframe(BYBIT, "99 1", "101 1", last_id=15, at_ms=START_MS + 20)
    old.exchange_ns = T0
    bench.feed(old)

    row = end_minute(bench)[BYBIT]

    assert (row.latency_p50_ms, row.latency_p90_ms, row.latency_p99_ms, row.latency_max_ms) == ("5", "90", "90", "90")


def test_a_minute_goes_on_after_a_checkpoint(bench: Bench) -> None:
    """Restored in mid-minute, its row is the one of a worker that never stopped."""
    bench.feed(snapshot(BYBIT, "99 1", "101 1", at_ms=START_MS), delta(11, at_ms=1, late_ms=-700), delta(13, at_ms=2))
    successor = Bench()
    successor.engine.restore(PAIR, bench.engine.snapshot(PAIR))
    successor.offset = bench.offset
    more = delta(14, at_ms=3, late_ms=12), keyframe(BYBIT, "99 1", "101 1", last_id=14, at_ms=START_MS + 4)

    assert successor.feed(*more) == bench.feed(*more)
    row = end_minute(successor)[BYBIT]
    assert row == end_minute(bench)[BYBIT]
    assert (row.gaps, row.resyncs, row.latency_p50_ms, row.latency_max_ms) == (1, 1, "12", "12")
