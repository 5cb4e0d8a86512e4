"""Column types that clickhouse-connect encodes, but for decimals: those are integers already (scaled.py).

Its own way makes a Decimal of each value's text and multiplies it, which is most of what an insert costs.
"""

from array import array
from collections.abc import Sequence
from copy import copy
from typing import Any

from clickhouse_connect.datatypes.base import ClickHouseType
from clickhouse_connect.datatypes.numeric import BigDecimal, Decimal
from clickhouse_connect.datatypes.registry import get_from_name


class Scaled(Decimal, registered=False):  # type: ignore[misc, call-arg]
    """Decimal(18, x): eight bytes."""

    __slots__ = ()

    def _write_column_binary(self, column: Sequence[int | None], dest: bytearray, _: Any) -> None:
        dest += array("q", [value or 0 for value in column]).tobytes()


class BigScaled(BigDecimal, registered=False):  # type: ignore[misc, call-arg]
    """Decimal(38, x): sixteen bytes."""

    __slots__ = ()

    def _write_column_binary(self, column: Sequence[int | None], dest: bytearray, _: Any) -> None:
        dest += b"".join([int.to_bytes(value or 0, 16, "little", signed=True) for value in column])


SCALED = {8: Scaled, 16: BigScaled}


def column_type(name: str) -> ClickHouseType:
    """The type that a column's rows are encoded by."""
    known = get_from_name(name)
    if not isinstance(known, Decimal):
        return known
    made = copy(known)  # that one is everybody's
    made.__class__ = SCALED[known.byte_size]
    return made
