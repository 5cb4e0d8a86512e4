"""Exact numbers: decimal strings to scaled integers and back; nothing is ever rounded but where it says so."""

from collections.abc import Iterable
from decimal import Context, Decimal, InvalidOperation
from functools import lru_cache
from math import gcd

DECIMALS = 18  # of quoted prices, sizes and rates
SCALE: int = 10**DECIMALS
BPS_DECIMALS = 12  # of a setting in basis points
BPS_SCALE: int = 10**BPS_DECIMALS
SHARE_SCALE: int = 10**12  # a share of one, with as many decimals as a setting may have
FRACTION_SCALE: int = 10**4 * BPS_SCALE  # a number in bps with its decimals, as a fraction of one
DIGITS_MAX = 40
CHARACTERS_MAX = 256  # of a number as text: what is longer would fill the cache
CACHED_NUMBERS_MAX = 1 << 16
CACHED_SCALES_MAX = 1 << 10
_ROUNDING = Context(prec=400)
_POWERS: list[int] = [10**power for power in range(DECIMALS + 1)]
_without_right = str.rstrip  # called by this name it is Python's own; that of mypyc looks each character up


def scaled(text: str) -> int:
    """A decimal string times 10^18; raises ValueError for what is no finite decimal or has more than 18 decimals."""
    return _numbers[text]


def all_scaled(texts: Iterable[str]) -> list[int]:
    """The same of many."""
    return list(map(_numbers.__getitem__, texts))


class _Numbers(dict[str, int]):
    """What was read before: prices and sizes come again and again. It begins anew when it is full."""

    def __missing__(self, text: str) -> int:
        number = _scaled(text)
        if len(self) >= CACHED_NUMBERS_MAX:
            self.clear()
        self[text] = number
        return number


_numbers = _Numbers()


def _scaled(text: str) -> int:
    head, _, tail = text.partition(".")
    digits = head + tail
    if digits.isascii() and digits.isdigit() and len(tail) <= DECIMALS and len(head) <= DIGITS_MAX:
        return int(digits) * _POWERS[DECIMALS - len(tail)]
    return _scaled_slowly(text)


def _scaled_slowly(text: str) -> int:
    """Signs, exponents and superfluous zeros, as Decimal reads them."""
    if len(text) > CHARACTERS_MAX:
        raise ValueError(f"{text[:40]!r} has {len(text)} characters")
    try:
        value = Decimal(text) if text.isascii() and "_" not in text and text == text.strip() else Decimal("NaN")
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise ValueError(f"{text[:40]!r} is not a finite decimal")
    if value and not -10 * DECIMALS < value.adjusted() <= DIGITS_MAX:
        raise ValueError(f"{text[:40]!r} is beyond any price or size")
    shifted = value.scaleb(DECIMALS, _ROUNDING)
    if shifted != shifted.to_integral_value():
        raise ValueError(f"{text[:40]!r} has more than {DECIMALS} decimals")
    return int(shifted)


def scaled_decimal(value: Decimal, decimals: int) -> int:
    """A Decimal times 10^decimals; raises ValueError where that is not whole."""
    shifted = value.scaleb(decimals, _ROUNDING)
    if shifted != shifted.to_integral_value():
        raise ValueError(f"{value} has more than {decimals} decimals")
    return int(shifted)


def round_half_even(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest integer, ties to the even one; the denominator is positive."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def plain(value: int, decimals: int) -> str:
    """value / 10^decimals as a plain decimal string: no exponent, no trailing zeros, no negative zero."""
    while decimals > DECIMALS:  # amounts have seventy decimals, nearly all of them zeros that need not be written
        shorter, rest = divmod(value, SCALE)
        if rest:
            break
        value, decimals = shorter, decimals - DECIMALS
    sign, digits = ("-", str(-value)) if value < 0 else ("", str(value))
    if len(digits) <= decimals:
        digits = digits.rjust(decimals + 1, "0")
    point = len(digits) - decimals
    tail: str = _without_right(digits[point:], "0")
    return f"{sign}{digits[:point]}.{tail}" if tail else f"{sign}{digits[:point]}"


def plain_ratio(numerator: int, denominator: int) -> str:
    """The quotient as a plain decimal string: exact where it ends, else rounded half-even to 18 decimals."""
    power = _power_of_ten(denominator)
    if power is not None:
        return plain(numerator, power)
    common = gcd(numerator, denominator)
    numerator, denominator = numerator // common, denominator // common
    decimals = _decimals_of(denominator)
    if decimals is None:
        return plain(round_half_even(numerator * SCALE, denominator), DECIMALS)
    return plain(numerator * 10**decimals // denominator, decimals)


@lru_cache(maxsize=CACHED_SCALES_MAX)
def _power_of_ten(number: int) -> int | None:
    """Which power of ten a scale is, as nearly all are; None for others."""
    zeros = len(str(number)) - 1
    return zeros if number == 10**zeros else None


def _decimals_of(denominator: int) -> int | None:
    """How many decimals a fraction in lowest terms has; None when it never ends."""
    twos = (denominator & -denominator).bit_length() - 1
    rest = denominator >> twos
    fives = 0
    while rest % 5 == 0:
        rest //= 5
        fives += 1
    return max(twos, fives) if rest == 1 else None


def plain_rounded(numerator: int, denominator: int, decimals: int) -> str:
    """The quotient rounded half-even to so many decimals, as a plain decimal string."""
    return plain(round_half_even(numerator * 10**decimals, denominator), decimals)
