"""When a pair is quarantined, and when it is not any more."""

from decimal import Decimal

import pytest

from mts_stream.domain.instrument import Instrument
from mts_stream.exchanges.naming import AMBIGUOUS_NAMES
from producers.quarantine import AGREED_READINGS, Quarantine

DIFFER = "reference prices of binance:perp and bybit:perp differ by more than 2 %"
BYBIT = ("bybit", "perp")


def leg(venue: str, price: str, multiplier: int = 1, market: str = "perp") -> Instrument:
    """A leg with a reference price."""
    one = Decimal(1)
    return Instrument(
        venue, market, f"{multiplier}X", Decimal(multiplier), one, one, one, 8, "default", "trading", Decimal(price)
    )  # fmt: skip


def legs(binance: str, bybit: str) -> list[Instrument]:
    """Both venues' perps."""
    return [leg("binance", binance), leg("bybit", bybit)]


@pytest.mark.parametrize(
    ("binance", "bybit", "reason"),
    [("1", "1.9", DIFFER), ("100", "102", None), ("100", "102.0001", DIFFER), ("102.0001", "100", None)],
)
def test_more_than_two_percent_is_too_much(binance: str, bybit: str, reason: str | None) -> None:
    """Exactly two percent is not more; at the first reading already."""
    swapped = DIFFER.replace("binance:perp and bybit:perp", "bybit:perp and binance:perp")
    expected = swapped if binance == "102.0001" else reason
    assert Quarantine().judge("X-USDT", legs(binance, bybit)) == expected


def test_prices_are_compared_per_unit() -> None:
    """1000 of them cost a thousand times as much."""
    assert Quarantine().judge("X-USDT", [leg("binance", "1"), leg("bybit", "1001", 1000)]) is None


def test_it_enters_at_once_and_leaves_after_three_agreeing_readings() -> None:
    """A pair that sways about the limit does not come and go with every minute."""
    quarantine = Quarantine()
    assert quarantine.judge("X-USDT", legs("100", "101")) is None
    assert quarantine.judge("X-USDT", legs("100", "103")) == DIFFER
    for _ in range(AGREED_READINGS - 1):
        assert quarantine.judge("X-USDT", legs("100", "101")) == DIFFER
    assert quarantine.judge("X-USDT", legs("100", "103")) == DIFFER
    for _ in range(AGREED_READINGS - 1):
        assert quarantine.judge("X-USDT", legs("100", "101")) == DIFFER
    assert quarantine.judge("X-USDT", legs("100", "101")) is None


def test_an_unknown_price_agrees_with_nobody() -> None:
    """Until there is one; then one reading is enough."""
    quarantine = Quarantine()
    assert quarantine.judge("X-USDT", legs("100", "0")) == (
        "no reference price of bybit:perp to compare with the other legs"
    )
    assert quarantine.judge("X-USDT", legs("100", "101")) is None


def test_a_pair_that_was_compared_keeps_its_verdict_while_it_cannot_be() -> None:
    """A list that was not read has old prices: they say nothing, for or against."""
    quarantine = Quarantine()
    assert quarantine.judge("X-USDT", legs("100", "100")) is None
    assert quarantine.judge("X-USDT", legs("150", "100"), {BYBIT}) is None
    assert quarantine.judge("X-USDT", legs("150", "100")) == DIFFER.replace(
        "binance:perp and bybit:perp", "bybit:perp and binance:perp"
    )
    assert quarantine.judge("X-USDT", legs("100", "100"), {BYBIT}) is not None


def test_a_leg_that_joins_has_to_be_compared_first() -> None:
    """The others' verdict is not its own."""
    quarantine = Quarantine()
    assert quarantine.judge("X-USDT", legs("100", "100")) is None
    three = [*legs("100", "100"), leg("bybit", "0", market="spot")]
    assert quarantine.judge("X-USDT", three) == "no reference price of bybit:spot to compare with the other legs"


def test_known_legs_that_differ_count_whatever_another_lacks() -> None:
    """Two prices are enough to see that they are not the same."""
    assert Quarantine().judge("X-USDT", [*legs("100", "150"), leg("bybit", "0", market="spot")]) == DIFFER


@pytest.mark.parametrize("name", sorted(AMBIGUOUS_NAMES))
def test_an_ambiguous_name_is_quarantined_whatever_its_prices(name: str) -> None:
    """Prices of two assets can meet by chance; on one venue alone the name means one thing."""
    assert str(Quarantine().judge(f"{name}-USDT", legs("100", "100"))).startswith("ambiguous name")
    assert Quarantine().judge(f"{name}-USDT", legs("100", "100")[:1]) is None


def test_a_single_leg_needs_no_price() -> None:
    """There is nothing to compare it with."""
    assert Quarantine().judge("X-USDT", [leg("binance", "0")]) is None
