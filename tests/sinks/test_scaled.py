"""A decimal string becomes the integer of its column: exactly, half-even, and in Python as compiled."""

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.errors import BadRecordError
from mts_stream.sinks.scaled import BPS_PLACES, DIGITS_MAX, FEE_PLACES, MONEY_PLACES, scaled_in_python

EXACT = Context(prec=300, rounding=ROUND_HALF_EVEN)
PLACES = st.sampled_from([BPS_PLACES, FEE_PLACES, MONEY_PLACES])
Scaled = Callable[[str, int], int]


@pytest.fixture(params=["python", "compiled"], scope="module")
def scaled(request: pytest.FixtureRequest) -> Scaled:
    """Both forms."""
    if request.param == "python":
        return scaled_in_python
    compiled = pytest.importorskip("mts_stream.sinks.scaled_compiled", reason="not compiled here")
    found: Scaled = compiled.scaled
    return found


def plain(number: Decimal) -> str:
    """As the wire has it: no exponent, no zero that says nothing."""
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def outcome(form: Scaled, text: str, places: int) -> int | str:
    """The integer, or the reason against it."""
    try:
        return form(text, places)
    except BadRecordError as error:
        return error.reason


@given(number=st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**40), max_value=10**40), places=PLACES)
def test_a_number_is_rounded_half_even_or_has_no_room(scaled: Scaled, number: Decimal, places: int) -> None:
    """As Decimal itself rounds it; beyond the column's digits it is refused by name."""
    text = plain(number)
    exact = Decimal(text).quantize(Decimal(1).scaleb(-places), context=EXACT)
    fits = len(exact.as_tuple().digits) <= DIGITS_MAX[places] and len(text) <= 200

    assert outcome(scaled, text, places) == (int(exact.scaleb(places, EXACT)) if fits else "out_of_range")


@given(text=st.from_regex(r"-?[0-9]{0,20}\.?[0-9]{0,20}", fullmatch=True), places=PLACES)
def test_both_forms_say_the_same(text: str, places: int) -> None:
    """Of numbers and of what only looks like one."""
    compiled = pytest.importorskip("mts_stream.sinks.scaled_compiled", reason="not compiled here")

    assert outcome(compiled.scaled, text, places) == outcome(scaled_in_python, text, places)


@pytest.mark.parametrize(
    "text", ["", "-", ".", "-0", "00", "01", "1.", ".1", "1.0", "1e3", " 1", "1_0", "+1", "١", "1\n"]
)
def test_what_is_no_plain_decimal_is_refused(scaled: Scaled, text: str) -> None:
    """The wire knows one form of each number."""
    assert outcome(scaled, text, MONEY_PLACES) == "bad_message"
