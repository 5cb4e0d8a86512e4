"""The rows of windows as they came: the broker's time of append, beside the second's own end."""

from typing import NamedTuple

import msgspec

from mts_stream.settings import Settings
from mts_stream.wire import topics
from mts_stream.wire.kafka import Reader

WINDOW_MS, NS_PER_MS = 1000, 10**6


class Row(NamedTuple):
    """A row's place, what it is a row of, when it was appended, and how long after the end of its second."""

    partition: int
    offset: int
    identity: tuple[str, str, int]
    appended_ms: int
    behind_ms: int


class _Window(msgspec.Struct):
    pair: str
    direction: str
    window_start_ns: int


_decoder = msgspec.json.Decoder(_Window)


def rows(settings: Settings) -> list[Row]:
    """All of them."""
    found = []
    with Reader(settings, (topics.SPREADS,)) as reader:
        for record in reader.read_to_end():
            window = _decoder.decode(record.value or b"")
            identity = window.pair, window.direction, window.window_start_ns
            end_ms = window.window_start_ns // NS_PER_MS + WINDOW_MS
            found.append(
                Row(record.partition, record.offset, identity, record.timestamp_ms, record.timestamp_ms - end_ms)
            )
    return found
