"""Settlements and what they pay, against counting them one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.domain.funding import NS_PER_HOUR, LegFunding, parse_rate
from mts_stream.domain.rejection import BadRecordError
from tests.domain.builders import MS, T0, funding


def stated(rate: str | None = "0.0001", next_ms: float | None = 0, hours: int | None = 8) -> LegFunding:
    leg = LegFunding()
    update = funding("binance:perp", rate, next_ms, hours)
    leg.on_update(update, parse_rate(update))
    return leg


@given(st.integers(-100, 100), st.integers(1, 24), st.integers(0, 72))
def test_the_carry_counts_each_settlement_in_the_holding_time(next_h: int, interval_h: int, horizon_h: int) -> None:
    """In (t, t + H]: the first settlement after t and every interval on, a next time that passed moves on."""
    leg = stated("0.0001", next_h * 3_600_000, interval_h)
    settlements = [next_h + k * interval_h for k in range(400)]
    settlements = [hour for hour in settlements if 0 < hour <= horizon_h]

    paid = leg.rates_until(None, T0, horizon_h * NS_PER_HOUR)

    assert paid == len(settlements) * 10**14
    if settlements:
        assert leg.first_settlement_ns(None, T0) == T0 + settlements[0] * NS_PER_HOUR


@pytest.mark.parametrize(
    ("leg", "listed", "known"),
    [
        (stated(), None, True),
        (stated(rate=None), 8, False),
        (stated(next_ms=None), 8, False),
        (stated(hours=None), None, False),
        (stated(hours=None), 4, True),
        (LegFunding(), 8, False),
    ],
)
def test_funding_is_known_when_rate_time_and_interval_were_stated(leg: LegFunding, listed: int, known: bool) -> None:
    """The interval may come from the registry; the rest only from the venue's own stream."""
    assert leg.is_known(listed, T0, 900 * 10**9) is known


def test_funding_grows_old() -> None:
    """More than FUNDING_MAX_AGE_S after the last record, whatever that stated, it is unknown."""
    leg = stated()
    assert leg.is_known(None, T0 + 900 * 10**9, 900 * 10**9)
    assert not leg.is_known(None, T0 + 900 * 10**9 + 1, 900 * 10**9)
    update = funding("binance:perp", None, None, at_ms=1000)
    assert not leg.on_update(update, parse_rate(update))
    assert leg.is_known(None, T0 + 900 * 10**9 + 1000 * MS, 900 * 10**9)


def test_a_change_is_told_once() -> None:
    """Repeating what is known changes nothing."""
    leg = stated()
    update = funding("binance:perp", "0.00010", 0, 8)
    assert not leg.on_update(update, parse_rate(update))
    update = funding("binance:perp", "0.0002", 0, 8)
    assert leg.on_update(update, parse_rate(update))
    assert leg.rate_plain == "0.0002"


def test_an_impossible_rate_is_a_dead_letter() -> None:
    """Text where a rate should stand names the record."""
    with pytest.raises(BadRecordError, match="impossible_number: binance/perp/BTCUSDT/c/1/1"):
        parse_rate(funding("binance:perp", "soon", None))


def test_a_leg_without_settlements_cannot_be_asked() -> None:
    """Asking for the carry of unknown funding is our mistake and raises."""
    with pytest.raises(ValueError, match=r"^no rate was stated$"):
        LegFunding().rates_until(8, T0, NS_PER_HOUR)
    with pytest.raises(ValueError, match=r"^no settlement was stated$"):
        stated(next_ms=None).rates_until(8, T0, NS_PER_HOUR)


def test_nothing_is_known_of_a_new_leg() -> None:
    """Nulls, and nothing else that counts as false: they stand in checkpoints and messages."""
    assert LegFunding().snapshot() == [None, None, None, None]
