"""A decimal string as the integer that a Decimal column holds: rounded half-even to the column's places.

`scaled` is compiled where a compiler was there (scaled_compiled.pyx): the common numbers at once, and for all others it
asks `scaled_in_python`, which is the reference.
"""

import re
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal

from mts_stream.domain.compiled import python_is_chosen
from mts_stream.errors import BadRecordError
from mts_stream.wire.signals import DECIMAL_PATTERN

MONEY_PLACES, FEE_PLACES, BPS_PLACES = 18, 12, 4
DIGITS_MAX = {MONEY_PLACES: 38, FEE_PLACES: 18, BPS_PLACES: 18}
PLAIN_DIGITS_MAX = 18

_POWERS: list[int] = [10**power for power in range(MONEY_PLACES + 1)]
_EXACT = Context(prec=200, rounding=ROUND_HALF_EVEN)
_is_plain = re.compile(DECIMAL_PATTERN).fullmatch


def scaled_in_python(text: str, places: int) -> int:
    """The number times ten to the places; BadRecordError `out_of_range` where the column has no room for it."""
    if _is_plain(text) is None:
        raise BadRecordError("bad_message", f"{text[:100]!r} is no plain decimal")
    whole, _, part = text.partition(".")
    if len(part) <= places and len(whole) + places <= PLAIN_DIGITS_MAX:
        return int(whole + part) * _POWERS[places - len(part)]
    if len(text) > _EXACT.prec:
        raise BadRecordError("out_of_range", f"a number of {len(text)} characters")
    number = int(Decimal(text).scaleb(places, _EXACT).to_integral_value(ROUND_HALF_EVEN, _EXACT))
    if len(str(abs(number))) > DIGITS_MAX[places]:
        raise BadRecordError("out_of_range", f"{text} has no room in {DIGITS_MAX[places]} digits, {places} of decimals")
    return number


def _chosen() -> Callable[[str, int], int]:
    if python_is_chosen():
        return scaled_in_python
    try:
        from mts_stream.sinks.scaled_compiled import scaled
    except ImportError:
        return scaled_in_python
    return scaled


scaled = _chosen()
