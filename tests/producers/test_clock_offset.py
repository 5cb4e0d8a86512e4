"""The estimate of an exchange's clock: never further off than it says, and quick to see that the clock was set."""

from hypothesis import given
from hypothesis import strategies as st

from producers.clock_offset import AGE_NS_MAX, DRIFT_PPM, STAMP_NS, ClockOffset, OffsetEstimator
from tests.producers.fakes import S

START = 1_700_000_000 * S
MS = 1_000_000
WAYS = st.integers(0, 400 * MS)


def ask(estimator: OffsetEstimator, at_ns: int, there_ns: int, back_ns: int, offset_ns: int) -> None:
    """A request that takes so long there and back, to a clock that is ahead by `offset_ns` and tells whole ms."""
    server_ns = (at_ns + there_ns + offset_ns) // STAMP_NS * STAMP_NS
    estimator.on_answer(at_ns, at_ns + there_ns + back_ns, server_ns)


@given(st.integers(-10 * S, 10 * S), st.lists(st.tuples(WAYS, WAYS), min_size=1, max_size=20))
def test_the_offset_is_within_its_error(offset_ns: int, ways: list[tuple[int, int]]) -> None:
    """However uneven the way there and back; and the error is that of the quickest answer, or smaller than any."""
    estimator, now_ns = OffsetEstimator(), START
    for there_ns, back_ns in ways:
        now_ns += S
        ask(estimator, now_ns, there_ns, back_ns, offset_ns)
    found = estimator.estimate(now_ns)

    assert found is not None
    assert abs(found.offset_ns - offset_ns) <= found.error_ns
    aged_ns = 20 * S * DRIFT_PPM // 1_000_000
    assert found.error_ns <= min(sum(way) for way in ways[-10:]) // 2 + STAMP_NS + aged_ns


@given(st.integers(-5 * S, 5 * S), st.integers(-5 * S, 5 * S), WAYS, WAYS)
def test_a_clock_that_was_set_is_followed(before_ns: int, after_ns: int, there_ns: int, back_ns: int) -> None:
    """The first answer that contradicts the older ones is believed, however quick those were."""
    estimator = OffsetEstimator()
    for second in range(5):
        ask(estimator, START + second * S, 0, 0, before_ns)
    ask(estimator, START + 5 * S, there_ns, back_ns, after_ns)
    found = estimator.estimate(START + 6 * S)

    assert found is not None
    seen = abs(before_ns - after_ns) > there_ns + back_ns + 3 * STAMP_NS
    assert not seen or abs(found.offset_ns - after_ns) <= found.error_ns


def test_it_starts_unknown_and_ends_unknown() -> None:
    """Without an answer for five minutes there is no estimate; before, its error grows with the age."""
    estimator = OffsetEstimator()
    assert estimator.estimate(START) is None
    estimator.on_answer(START, START + 10 * MS, START + 105 * MS)

    assert estimator.estimate(START + 10 * MS) == ClockOffset(100 * MS, 5 * MS + STAMP_NS)
    later = estimator.estimate(START + 110 * S)
    assert later is not None and later.error_ns - 6 * MS == (110 * S - 10 * MS) * DRIFT_PPM // 1_000_000
    assert estimator.estimate(START + AGE_NS_MAX + S) is None
