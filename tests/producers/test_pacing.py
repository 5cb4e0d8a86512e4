"""Messages a second and attempts a window: no window anywhere holds more than is allowed."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.exchanges import MARKETS
from producers.pacing import ATTEMPT_SHARE, MESSAGE_WINDOW_S, AttemptPace, MessagePace

gaps = st.lists(st.floats(0, 3), min_size=1, max_size=60)


@given(gaps, st.integers(1, 10), st.integers(0, 2))
def test_no_second_holds_more_messages_than_allowed(waits: list[float], per_s: int, keep_free: int) -> None:
    """However they come, and with what is kept free left free."""
    pace, now_s, sent = MessagePace(per_s), 100.0, []
    for wait in waits:
        now_s += wait
        while (wait_s := pace.wait_s(now_s, keep_free)) > 0:
            now_s += wait_s
        pace.sent(now_s)
        sent.append(now_s)
    allowed = max(1, per_s - keep_free)
    assert all(b - a >= MESSAGE_WINDOW_S - 1e-6 for a, b in zip(sent, sent[allowed:], strict=False))


def test_a_ping_goes_where_a_message_has_to_wait() -> None:
    """Of five a second, messages leave two free and pings one."""
    pace = MessagePace(5)
    for _ in range(3):
        assert pace.wait_s(0.0, 2) == 0
        pace.sent(0.0)
    assert pace.wait_s(0.5, 2) == pytest.approx(MESSAGE_WINDOW_S - 0.5)
    assert pace.wait_s(0.5, 1) == 0


@given(gaps, st.integers(2, 40))
def test_no_window_holds_more_attempts_than_our_share(waits: list[float], attempts: int) -> None:
    """Wherever the venue begins its window, and whoever of our connections asks."""
    pace, now_s, window_s = AttemptPace("host", attempts, 20), 0.0, 20
    made = []
    for wait in waits:
        now_s += wait
        made.append(now_s + pace.reserve(now_s))
    assert made == sorted(made)
    most = max(1, int(attempts * ATTEMPT_SHARE / 2)) + attempts * ATTEMPT_SHARE / 2
    for first in made:
        assert sum(first <= at < first + window_s - 1e-6 for at in made) <= most + 1


def test_half_of_the_share_goes_at_once_and_the_rest_evenly() -> None:
    """300 in 5 minutes: 75 at once, then one every 4 s; after a rest as at first."""
    pace = AttemptPace("host", 300, 300)
    waits = [pace.reserve(1000.0) for _ in range(80)]
    assert waits[:75] == [0] * 75
    assert waits[75:] == pytest.approx([4, 8, 12, 16, 20])
    assert [pace.reserve(2000.0) for _ in range(75)] == [0] * 75


def test_the_venues_limits_are_values() -> None:
    """Binance spot 300 in 5 min, Bybit 500 per domain; USD-M publishes none and gets a third of spot's."""
    limits = {(m.venue, m.market): m.socket_limits for m in MARKETS}
    assert {key: (value.attempts, value.attempts_window_s) for key, value in limits.items()} == {
        ("binance", "spot"): (300, 300), ("binance", "perp"): (100, 300),
        ("bybit", "spot"): (500, 300), ("bybit", "perp"): (500, 300),
    }  # fmt: skip
    assert {key for key, value in limits.items() if value.life_s == 86_400} == {
        ("binance", "spot"),
        ("binance", "perp"),
    }


def test_attempts_of_a_storm_are_spread() -> None:
    """Behind what goes at once no two attempts come together."""
    pace = AttemptPace("host", 100, 300)
    made = [pace.reserve(0.0) for _ in range(40)][25:]
    assert all(b - a == pytest.approx(12) for a, b in pairwise(made))
