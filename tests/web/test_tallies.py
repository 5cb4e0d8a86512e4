"""Rates and outcomes of the last minute."""

from hypothesis import given
from hypothesis import strategies as st

from mts_stream.web.tallies import SECONDS_KEPT, PerSecond, Tallies

T = 1_800_000_000


def test_rates_are_means_over_whole_seconds():
    """Windows and evaluations count over the ten seconds before the running one, signals over a minute."""
    tallies = Tallies()
    for second in range(T - 100, T + 1):
        tallies.on_window("A-USDT", second, {"no_edge": 3, "signal": 1})
        tallies.on_window("B-USDT", second, {})
        tallies.on_signal(second)

    assert tallies.rates(T) == {"windows_per_s": 2.0, "evaluations_per_s": 4.0, "signals_per_min": 60.0}


def test_a_stream_that_stopped_counts_down_to_nothing():
    """What is counted depends on now, not on the newest message."""
    tallies = Tallies()
    tallies.on_window("A-USDT", T, {"no_edge": 3})
    tallies.on_signal(T)

    assert tallies.outcomes(T + 59) == {"A-USDT": {"no_edge": 3}}
    assert tallies.outcomes(T + 60) == {}
    assert set(tallies.rates(T + 60).values()) == {0.0}


def test_a_forgotten_pair_has_no_outcomes():
    """A pair that is shown no more is not counted on."""
    tallies = Tallies()
    tallies.on_window("A-USDT", T, {"no_edge": 3})
    tallies.forget("A-USDT")
    tallies.forget("never seen")

    assert tallies.outcomes(T) == {}


@given(st.lists(st.tuples(st.integers(T, T + 400), st.integers(1, 5)), max_size=60))
def test_memory_is_bounded_and_the_last_minute_exact(adds):
    """However seconds come, at most SECONDS_KEPT are held, and what is younger than a minute is counted."""
    seconds = PerSecond()
    for second, count in adds:
        seconds.add(second, {"x": count})
    newest = max((second for second, _ in adds), default=T)
    # A second that came after one 65 s younger was too old then already, so it is older than a minute now.
    expected = sum(count for second, count in adds if newest - 59 <= second <= newest)

    assert seconds.over(newest - 59, newest)["x"] == expected
    assert len(seconds._seconds) <= SECONDS_KEPT
