"""Exact numbers against Decimal and Fraction."""

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.domain.exact import plain, plain_ratio, plain_rounded, round_half_even, scaled

numbers = st.decimals(min_value=-(10**12), max_value=10**12, places=9, allow_nan=False)


@given(numbers)
def test_a_decimal_string_survives_the_round_trip(value: Decimal) -> None:
    """Scaling a string and writing it plainly is the same number without trailing zeros."""
    written = plain(scaled(str(value)), 18)

    assert Decimal(written) == value
    assert "E" not in written
    assert not ("." in written and written.endswith("0"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.50", Fraction(3, 2)),
        (".5", Fraction(1, 2)),
        ("1e3", 1000),
        ("-2", -2),
        ("0.10000000000000000000", Fraction(1, 10)),
    ],
)
def test_what_decimal_reads_is_read(text: str, value: Fraction) -> None:
    """Signs, exponents and superfluous zeros are numbers too."""
    assert Fraction(scaled(text), 10**18) == value


NO_PRICES = [
    "",
    "NaN",
    "Infinity",
    "abc",
    "1_000",
    " 1",
    "1 ",
    "--1",
    "1e99",
    "1e999999999",
    "0" * 300 + "1",
    "٣",
    "0.0000000000000000001",
]


@pytest.mark.parametrize("text", NO_PRICES)
def test_what_is_no_price_is_refused(text: str) -> None:
    """Text, infinities, other scripts' digits and numbers without bounds raise, and cost no memory."""
    with pytest.raises(ValueError):
        scaled(text)


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**20))
def test_rounding_is_half_even(numerator: int, denominator: int) -> None:
    """Ties go to the even neighbour, as Python's round does on exact fractions."""
    assert round_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(st.integers(-(10**12), 10**12), st.sampled_from([1, 2, 8, 10, 625, 10**7]))
def test_a_quotient_that_ends_is_written_exactly(numerator: int, denominator: int) -> None:
    """No digit of a finite quotient is lost."""
    assert Fraction(plain_ratio(numerator, denominator)) == Fraction(numerator, denominator)


def test_a_quotient_that_never_ends_is_rounded() -> None:
    """A third has 18 decimals."""
    assert plain_ratio(1, 3) == "0.333333333333333333"
    assert plain_ratio(2, 3) == "0.666666666666666667"


@given(numbers.filter(bool))
def test_rounded_bps_equal_decimals_own(value: Decimal) -> None:
    """Four places, half-even, no negative zero."""
    ratio = Fraction(value)
    expected = value.quantize(Decimal("0.0001"), ROUND_HALF_EVEN)

    assert Decimal(plain_rounded(ratio.numerator, ratio.denominator, 4)) == expected
    assert plain_rounded(-1, 10**9, 4) == "0"
