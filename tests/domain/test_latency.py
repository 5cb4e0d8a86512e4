"""The histogram of latencies against the plain list of them."""

from hypothesis import given
from hypothesis import strategies as st

from mts_stream.domain.latency import MS_MAX, LatencyCounts

MS = 10**6
PERCENTS = (50, 90, 99, 100)


def counts_of(latencies_ns: list[int]) -> LatencyCounts:
    """The histogram of these."""
    counts = LatencyCounts()
    for latency_ns in latencies_ns:
        counts.add(latency_ns)
    return counts


@given(st.lists(st.integers(-(10**20), 10**20) | st.integers(-(10**9), 10**9)))
def test_percentiles_are_those_of_the_list(latencies_ns: list[int]) -> None:
    """To the millisecond below 128, to 1/64 beyond, never further from 0 than the true one."""
    found = counts_of(latencies_ns).percentiles_ms(*PERCENTS)
    ordered = sorted(max(-MS_MAX, min(MS_MAX, ns // MS)) for ns in latencies_ns)
    for percent, ms in zip(PERCENTS, found, strict=True):
        if not ordered:
            assert ms is None
            continue
        true = ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
        assert ms is not None
        assert abs(true - ms) <= abs(true) / 64
        assert abs(ms) <= abs(true)
        assert abs(true) > 127 or ms == true


@given(st.lists(st.integers(-(10**13), 10**13)))
def test_a_snapshot_restores_it(latencies_ns: list[int]) -> None:
    """As JSON's own types, the same whatever the order that they came in."""
    counts, restored = counts_of(latencies_ns), LatencyCounts()
    restored.restore(counts.snapshot())
    assert restored.percentiles_ms(*PERCENTS) == counts.percentiles_ms(*PERCENTS)
    assert restored.snapshot() == counts_of(latencies_ns[::-1]).snapshot()


def test_it_stays_small_whatever_comes() -> None:
    """Every millisecond of 140 minutes around 0 takes some 2,000 counts."""
    counts = counts_of([ms * MS for ms in range(-MS_MAX - 9, MS_MAX + 9, 7)])
    assert len(counts.snapshot()) // 2 < 2300
