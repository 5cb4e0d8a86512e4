"""Which leg's book is to blame."""

import pytest

from mts_stream.web.legs import LegState, invalid_reason, leg_states
from mts_stream.web.messages import Window

S = 1_000_000_000
A, B, C = "binance:perp", "bybit:perp", "binance:spot"


def window(direction: str, second: int = 10, *, outcome: str = "no_edge", valid: bool = True) -> Window:
    """A window that ended with both books valid, or not, for the reason in its outcome."""
    net = "-1.5" if valid else None
    return Window("X-USDT", direction, second * S, net, net, net, net, 1000 if valid else 300, 4, {outcome: 4})


def test_a_window_that_ended_valid_proves_both_books():
    """Both legs of a direction with a net at its end are valid."""
    assert leg_states([window(f"{A}>{B}")], {}) == {
        A: LegState("valid", True, 11 * S),
        B: LegState("valid", True, 11 * S),
    }


def test_the_other_leg_is_to_blame_where_one_is_proven_valid():
    """A direction says one of two is invalid; another direction of the same second says which."""
    states = leg_states([window(f"{C}>{B}", outcome="book_gap", valid=False), window(f"{A}>{B}")], {})

    assert states[C] == LegState("gap", True, 11 * S)
    assert states[B].state == states[A].state == "valid"


def test_two_suspects_are_not_certain():
    """Without a second direction the buy leg is the likelier one, and said to be uncertain."""
    states = leg_states([window(f"{A}>{B}", outcome="book_silent", valid=False)], {})

    assert states == {A: LegState("silent", False, 11 * S)}


def test_both_ways_round_blame_each_leg_for_its_own_reason():
    """The buy leg's state comes first in an outcome, so the two directions of a pair of legs name one each."""
    rows = [window(f"{A}>{B}", outcome="book_gap", valid=False), window(f"{B}>{A}", outcome="book_late", valid=False)]

    assert {leg: state.state for leg, state in leg_states(rows, {}).items()} == {A: "gap", B: "late"}


def test_an_older_proof_does_not_clear_a_leg():
    """A leg that was valid a second before is a suspect again."""
    rows = [window(f"{A}>{C}", 9), window(f"{A}>{B}", 10, outcome="book_disconnected", valid=False)]

    assert leg_states(rows, {})[A] == LegState("disconnected", False, 11 * S)


@pytest.mark.parametrize(("at", "expected"), [(10, "valid"), (11, "gap"), (12, "gap")])
def test_newer_evidence_wins(at, expected):
    """A minute's record of a book counts when it is not older than what the windows say."""
    reported = {A: LegState("gap", True, at * S + 1)} if at > 10 else {A: LegState("gap", True, at * S)}

    assert leg_states([window(f"{A}>{B}")], reported)[A].state == expected


def test_quarantine_proves_nothing():
    """A quarantined pair says nothing of its books."""
    assert leg_states([window(f"{A}>{B}", outcome="quarantined", valid=False)], {}) == {}


def test_the_most_frequent_reason_is_named():
    """A window with several reasons is known by the one that came most often."""
    row = Window("X", f"{A}>{B}", 0, None, None, None, None, 10, 9, {"book_gap": 2, "book_reset": 4, "no_edge": 3})

    assert invalid_reason(row) == "reset"


def test_a_book_too_thin_for_1k_is_valid_all_the_same():
    """No net at 1,000 USD with a full second of validity is a thin book, not an invalid one."""
    row = Window("X", f"{A}>{B}", 0, "1.0", None, None, None, 1000, 3, {"no_edge": 3})

    assert invalid_reason(row) is None
