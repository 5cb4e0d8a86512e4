"""Waits between tries."""

from producers.backoff import SETTLED_S, Backoff


def test_the_bound_doubles_up_to_the_cap() -> None:
    """Full jitter: anything from nothing to the bound."""
    bounds = []

    def highest(low: float, high: float) -> float:
        assert low == 0
        bounds.append(high)
        return high

    backoff = Backoff(1.0, 8.0, highest)
    waits = [backoff.next_s() for _ in range(6)]

    assert waits == bounds == [1, 2, 4, 8, 8, 8]


def test_a_try_that_held_starts_it_over() -> None:
    """A short one does not."""
    backoff = Backoff(1.0, 8.0, lambda _, high: high)
    backoff.next_s()
    backoff.held(SETTLED_S - 1)
    assert backoff.next_s() == 2
    backoff.held(SETTLED_S)
    assert backoff.next_s() == 1


def test_it_is_drawn_by_chance() -> None:
    """Without being told otherwise."""
    assert 0 <= Backoff(1.0, 8.0).next_s() <= 1
