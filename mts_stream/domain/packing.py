"""A checkpoint's form: JSON data, and behind it the bytes of what is large, packed at the speed of memory.

A column of numbers is the letter of the smallest size that holds them all (`b` 1 byte, `h` 2, `i` 4, `q` 8) and their
bytes, least first. What 64 bits do not hold is a list of the numbers. order_book_compiled.pyx packs its sides to the
same.
"""

import json
import sys
from array import array
from collections.abc import Iterable
from itertools import accumulate, pairwise
from math import gcd
from typing import Any

from mts_stream.domain.exact import DECIMALS

Column = bytes | list[int]
SIZES = b"bhiq"
_BEHIND = "behind"  # stands in the JSON for bytes: where they begin and end behind it


def sealed(data: dict[str, Any]) -> bytes:
    """JSON data in which bytes may stand, as a checkpoint: without any it is JSON."""
    behind: list[bytes] = []
    end = 0

    def put_behind(value: Any) -> dict[str, Any]:
        nonlocal end
        if not isinstance(value, bytes):
            raise TypeError(f"{type(value)} in a checkpoint")
        behind.append(value)
        end += len(value)
        return {_BEHIND: [end - len(value), end]}

    head = json.JSONEncoder(separators=(",", ":"), check_circular=False, default=put_behind).encode(data).encode()
    return b"%d%b%b" % (len(head), head, b"".join(behind)) if behind else head


def opened(checkpoint: bytes) -> Any:
    """The data; raises ValueError for what is none."""
    if checkpoint[:1] == b"{":
        return json.loads(checkpoint)
    digits, brace, _ = checkpoint.partition(b"{")
    if not brace or not digits.isdigit():
        raise ValueError("not a checkpoint")
    size = len(digits) + int(digits)
    behind = checkpoint[size:]

    def take(found: dict[str, Any]) -> Any:
        if _BEHIND not in found:
            return found
        begin, end = found[_BEHIND]
        if not 0 <= begin <= end <= len(behind):
            raise ValueError("a checkpoint that is cut off")
        return behind[begin:end]

    return json.loads(checkpoint[len(digits) : size], object_hook=take)


def column(numbers: "Iterable[int] | array[int]") -> Column:
    """The numbers as data for a checkpoint."""
    if isinstance(numbers, array):
        return numbers.typecode.encode() + _least_first(numbers).tobytes()
    values = list(numbers)
    for size in SIZES.decode():
        try:
            return column(array(size, values))
        except OverflowError:
            continue
    return values


def numbers_of(packed: Column) -> list[int]:
    """The numbers of a column; raises ValueError for one that is damaged."""
    if isinstance(packed, list):
        return packed
    if not packed or packed[0] not in SIZES:
        raise ValueError(f"a column of size {packed[:1]!r}")
    values = array(chr(packed[0]))
    values.frombytes(packed[1:])
    return _least_first(values).tolist()


def _least_first(values: "array[int]") -> "array[int]":
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values


def packed_side(prices: list[int], sizes: list[int]) -> list[Any]:
    """A book's side from the best outward: for prices and sizes the power of ten in all of them, and what is left.

    Of prices that is the best and the steps from each to the next, since they are small.
    """
    (price_zeros, left), (size_zeros, left_sizes) = _reduced(prices), _reduced(sizes)
    best = left[0] if left else 0
    return [[price_zeros, best, column(b - a for a, b in pairwise([best, *left]))], [size_zeros, column(left_sizes)]]


def unpacked_side(data: list[Any]) -> tuple[list[int], list[int]]:
    """Prices and sizes of a side."""
    (price_zeros, best, steps), (size_zeros, sizes) = data
    left = [best + further for further in accumulate(numbers_of(steps))]
    return [price * 10**price_zeros for price in left], [size * 10**size_zeros for size in numbers_of(sizes)]


def _reduced(values: list[int]) -> tuple[int, list[int]]:
    common, zeros = gcd(*values), 0
    while zeros < DECIMALS and common % 10 == 0:
        common //= 10
        zeros += 1
    power = 10**zeros
    return zeros, [value // power for value in values]
