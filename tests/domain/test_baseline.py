"""Median, MAD and score against the plain definition, whatever enters and leaves."""

from fractions import Fraction
from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from mts_stream.domain.baseline import Baseline, Deviation

numbers = st.integers(-1000, 1000)
values = st.lists(numbers, min_size=1, max_size=40)
either = st.one_of(numbers, st.integers(-(2**40), 2**40))
"""Some of more than 32 bits."""


@given(st.lists(either, min_size=1, max_size=40), st.lists(either, max_size=10))
def test_median_and_mad_are_exact(kept: list[int], passing: list[int]) -> None:
    """Of any number of values, doubled ones among them, after others have come and gone."""
    baseline = Baseline(passing)
    for value in kept:
        baseline.add(value)
    for value in passing:
        baseline.remove(value)

    middle = median(map(Fraction, kept))
    mad = median(abs(value - middle) for value in map(Fraction, kept))
    assert len(baseline) == len(kept)
    assert (Fraction(baseline.median_twice, 2), Fraction(baseline.mad_fourfold, 4)) == (middle, mad)


@given(values, st.integers(0, 8000))
def test_a_mad_that_is_surely_wider_is_wider(kept: list[int], mad_fourfold: int) -> None:
    """Of an odd number of values it is said of every one that is."""
    baseline = Baseline(kept)

    if baseline.is_wider_than(mad_fourfold):
        assert baseline.mad_fourfold > mad_fourfold
    elif len(kept) % 2:
        assert baseline.mad_fourfold <= mad_fourfold


def test_a_deviation_says_what_was_held_against_what() -> None:
    """Median 2.5 bps and MAD 0.5 bps: 40 bps score 0.6745 * 37.5 / 0.5, on either side of them alike."""
    baseline = Baseline([200, 200, 300, 300])
    above, below = (baseline.deviation(value, floor=1, units_per_bps=100) for value in (4000, -3500))

    assert (above.value_bps, above.median_bps, above.mad_bps, above.score) == ("40", "2.5", "0.5", "50.5875")
    assert below.score == "-50.5875"
    for deviation in (above, below):
        assert deviation.is_beyond(50_587500 * 10**6)
        assert not deviation.is_beyond(50_587501 * 10**6)


def test_a_small_mad_counts_as_the_floor() -> None:
    """Of values that were all alike any other would be infinitely odd; the MAD that is told is the true one."""
    assert Deviation(110, 200, 0, floor=10, units_per_bps=100).score == "0.6745"
    assert Deviation(110, 200, 0, floor=10, units_per_bps=100).mad_bps == "0"
    assert Deviation(110, 200, 4 * 11, floor=10, units_per_bps=100).score == "0.6132"
