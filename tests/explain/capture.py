"""The conformance capture, and what comes out of it."""

import gzip
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.messages import SignalMessage
from mts_stream.errors import BadRecordError
from mts_stream.wire.codec import decode_record

CAPTURE = Path(__file__).parents[1] / "data" / "conformance" / "btc.jsonl.gz"


class Sent(NamedTuple):
    """A signal and the line of the record that led to it, counted from 0."""

    offset: int
    message: SignalMessage


def lines(count: int = 3000) -> list[bytes]:
    """The capture's first records, which lead to signals of every type but one."""
    return gzip.decompress(CAPTURE.read_bytes()).splitlines()[:count]


def signals(records: Iterable[bytes], settings: EconomicSettings) -> list[Sent]:
    """Every signal that records lead to."""
    engine, found = PartitionEngine(settings), []
    for offset, value in enumerate(records):
        try:
            messages = engine.on_event(decode_record(value), offset).messages
        except BadRecordError:
            continue
        found += [Sent(offset, message) for message in messages if isinstance(message, SignalMessage)]
    return found


def first(sent: list[Sent], is_it: Callable[[SignalMessage], bool]) -> Sent:
    """The first signal of a kind."""
    return next(one for one in sent if is_it(one.message))
