"""The weight budget: a share per minute, the venue's own count, pauses."""

from hypothesis import given
from hypothesis import strategies as st

from mts_stream.exchanges.venue import RequestLimit
from producers.budget import MINUTE_S, PAUSE_S_MAX, WeightBudget

NOW = 1_700_000_040.0  # 0 s into a minute


def test_the_share_of_a_minute_is_spent_and_comes_back() -> None:
    """Two requests of 50 fit into half of 200, the third waits for the first to be a minute old."""
    budget = WeightBudget(RequestLimit(200), 0.5)
    for second in (0, 10):
        assert budget.wait_s(NOW + second, 50) == 0
        budget.spend(NOW + second, 50)

    assert budget.wait_s(NOW + 20, 50) == 40
    assert budget.wait_s(NOW + 60, 50) == 0


def test_what_is_used_is_told() -> None:
    """By us in the last minute, and by the venue's word of this minute of the clock."""
    budget = WeightBudget(RequestLimit(200), 0.5)
    budget.spend(NOW, 20)
    budget.spend(NOW + 30, 5)
    assert [budget.spent(NOW + second) for second in (30, 60, 90)] == [25, 5, 0]
    assert budget.reported_now(NOW) is None
    budget.reported(NOW, 70)
    assert [budget.reported_now(NOW + second) for second in (59, 60)] == [70, None]


def test_a_request_above_the_share_goes_alone() -> None:
    """Otherwise it would never go."""
    assert WeightBudget(RequestLimit(100), 0.5).wait_s(NOW, 80) == 0


def test_what_others_use_counts_too() -> None:
    """Nine tenths of the venue's limit, by its own count, end the minute; the next one begins anew."""
    budget = WeightBudget(RequestLimit(1000), 0.5)
    budget.reported(NOW, 890)
    assert budget.wait_s(NOW + 1, 10) == 0
    budget.reported(NOW, 891)
    assert budget.wait_s(NOW + 20, 10) == 40
    assert budget.wait_s(NOW + 60, 10) == 0


def test_a_pause_holds_everything() -> None:
    """Retry-After, the longest one."""
    budget = WeightBudget(RequestLimit(1000), 0.5)
    budget.pause(NOW, 30)
    budget.pause(NOW, 10)
    assert budget.wait_s(NOW + 5, 0) == 25


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(1, 60)), max_size=80))
def test_no_minute_holds_more_than_the_share(steps: list[tuple[float, int]]) -> None:
    """Whoever waits as told stays inside, in every window of a minute."""
    budget, now_s, spent = WeightBudget(RequestLimit(200), 0.5), NOW, []
    for gap_s, weight in steps:
        now_s += gap_s
        while (wait_s := budget.wait_s(now_s, weight)) > 0:
            now_s += wait_s
        budget.spend(now_s, weight)
        spent.append((now_s, weight))
        window = sum(w for t, w in spent if t > now_s - MINUTE_S)
        assert window <= 100


def test_the_window_is_the_limits_own() -> None:
    """600 in 5 s, or 500 in 5 minutes: what was spent comes back after the window, not after a minute."""
    budget = WeightBudget(RequestLimit(4, 5), 0.5)
    budget.spend(NOW, 1)
    budget.spend(NOW + 1, 1)
    assert budget.wait_s(NOW + 2, 1) == 3
    assert budget.left(NOW + 2) == 0 and budget.left(NOW + 5) == 1


def test_answers_that_overtake_each_other_lower_nothing() -> None:
    """Within its minute the venue's count only rises, also by what is on its way; the next minute begins anew."""
    budget = WeightBudget(RequestLimit(1000), 1.0)
    budget.reported(NOW, 880)
    budget.reported(NOW + 1, 100)
    budget.spend(NOW + 1, 15)
    assert budget.wait_s(NOW + 2, 10) == 58
    budget.reported(NOW + 60, 10)
    assert budget.wait_s(NOW + 61, 10) == 0


def test_a_pause_has_an_end() -> None:
    """Three days are the longest ban; a Retry-After of years is an error in the answer."""
    budget = WeightBudget(RequestLimit(1000), 0.5)
    budget.pause(NOW, 1e12)
    assert budget.wait_s(NOW, 1) == PAUSE_S_MAX
