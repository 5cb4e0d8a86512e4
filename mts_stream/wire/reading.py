"""How a raw record is read: codec.py alone, or with the compiled reader of depth frames in front of it."""

from collections.abc import Callable
from functools import cache

from mts_stream.domain.kernel import KernelName
from mts_stream.domain.market_data import MarketEvent
from mts_stream.wire.codec import decode_record

RecordReader = Callable[[bytes | None], MarketEvent]
"""Raises BadRecordError."""


@cache
def record_reader(kernel: KernelName) -> RecordReader:
    """The reader that belongs to a kernel; what it reads is the same."""
    if kernel == "python":
        return decode_record
    try:
        from mts_stream.wire.depth_compiled import depth_update
    except ImportError:  # built in part: what is there may be used
        return decode_record

    def read(value: bytes | None) -> MarketEvent:
        update = depth_update(value) if value else None
        return decode_record(value) if update is None else update

    return read
