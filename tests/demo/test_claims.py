"""Which signals are true: their books' touches against the true books of their sequences, by hand."""

from decimal import Decimal
from typing import Any

import pytest

from mts_stream.local.demo.claims import Claim, TrueTouches, Verdicts, claims_of, judge, touches_of
from tests.demo.results import signal

BUY = {"venue": "binance", "market": "perp", "symbol": "1000PEPEUSDT", "sequence": 7, "side": "buy"}
SELL = {"venue": "bybit", "market": "spot", "symbol": "PEPEUSDT", "sequence": 9, "side": "sell"}
LEGS = [BUY | {"price": "0.0000237"}, SELL | {"price": "0.0000239"}]
BUY_CLAIM, SELL_CLAIM = claims_of(signal("opened", legs=LEGS))


def answer(multiplier: int, *books: tuple[list[str], list[str]]) -> dict[str, Any]:
    """What the simulator says: bids and asks by price, best first, in each epoch."""
    rows = [{"bids": [[p, "1"] for p in bids], "asks": [[p, "1"] for p in asks]} for bids, asks in books]
    return {"multiplier": multiplier, "books": rows}


TRUE_BUY = touches_of(answer(1000, (["0.0236"], ["0.0237", "0.0238"])))
TRUE_SELL = touches_of(answer(1, (["0.0000239", "0.0000238"], ["0.000024"])))


def test_both_legs_are_claims_in_units() -> None:
    """Buy first, with where and when to look."""
    assert Claim("binance", "perp", "1000PEPEUSDT", 7, "buy", Decimal("0.0000237")) == BUY_CLAIM
    assert SELL_CLAIM.place == {"venue": "bybit", "market": "spot", "symbol": "PEPEUSDT", "sequence": "9"}


@pytest.mark.parametrize(("kind", "count"), [("opened", 2), ("updated", 2), ("closed", 0)])
def test_a_closing_claims_nothing(kind: str, count: int) -> None:
    """It repeats the last open evaluation, which was judged already."""
    assert len(claims_of(signal(kind, legs=LEGS))) == count


def test_the_buyer_meets_the_best_ask_and_the_seller_the_best_bid_of_many_units() -> None:
    """A quoted price is for as many units as the multiplier says."""
    assert judge([(BUY_CLAIM, TRUE_BUY), (SELL_CLAIM, TRUE_SELL)]) == "verified"


@pytest.mark.parametrize(
    "wrong",
    [
        answer(1000, (["0.0237"], ["0.0238"])),  # the price stands on the other side
        answer(1000, (["0.0236"], ["0.0236", "0.0237"])),  # deeper than the touch
        answer(1, (["0.0236"], ["0.0237"])),  # of another number of units
        answer(1000, (["0.0236"], [])),  # nobody sells
    ],
)
def test_another_touch_is_untrue(wrong: dict[str, Any]) -> None:
    """Whatever the other leg is."""
    assert judge([(BUY_CLAIM, touches_of(wrong)), (SELL_CLAIM, TRUE_SELL)]) == "untrue"
    assert judge([(BUY_CLAIM, touches_of(wrong)), (SELL_CLAIM, None)]) == "untrue"


def test_any_epoch_of_the_sequence_may_be_meant() -> None:
    """A sequence that begins anew comes by its numbers again."""
    two = touches_of(answer(1000, (["0.9"], ["1"]), (["0.0236"], ["0.0237"])))

    bids, asks = (frozenset(map(Decimal, side)) for side in (("0.9", "0.0236"), ("1", "0.0237")))
    assert two == TrueTouches(1000, bids, asks)
    assert judge([(BUY_CLAIM, two)]) == "verified"


def test_what_the_simulator_has_forgotten_is_neither_true_nor_untrue() -> None:
    """Counted apart."""
    assert touches_of(answer(1)) is None
    assert judge([(BUY_CLAIM, None), (SELL_CLAIM, TRUE_SELL)]) == "unverified"


def test_untrue_signals_are_named_up_to_a_bound() -> None:
    """The count goes on."""
    verdicts = Verdicts()
    for number in range(150):
        verdicts.add(f"o-{number}", "untrue")
    verdicts.add("o-150", "verified")

    assert verdicts.counts == {"untrue": 150, "verified": 1}
    assert (len(verdicts.untrue_ids), verdicts.untrue_ids[0]) == (100, "o-0")
