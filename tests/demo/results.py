"""Hand-written records of the result topics."""

import json
from itertools import count
from typing import Any

from mts_stream.wire.kafka import Record
from mts_stream.wire.topics import SIGNALS, SPREADS

PERPS = "binance:perp>bybit:perp"
_offsets = count()


def record(topic: str, value: Any, partition: int = 0, offset: int | None = None) -> Record:
    """A record with a value as JSON, or as the bytes given."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Record(topic, partition, next(_offsets) if offset is None else offset, b"BTC-USDT", data, 0)


def window(start_ns: int = 0, edge: str | None = "1.5", **outcomes: int) -> dict[str, Any]:
    """A finished second."""
    return {
        "pair": "BTC-USDT", "direction": PERPS, "window_start_ns": start_ns, "edge_close_bps": edge,
        "outcomes": outcomes, "evaluations": sum(outcomes.values()),
    }  # fmt: skip


def signal(kind: str, event: int = 0, time_ns: int = 0, **more: Any) -> dict[str, Any]:
    """An event of an opportunity."""
    return {
        "id": f"o-{event}", "type": f"arbitrage.{kind}", "pair": "BTC-USDT", "direction": PERPS,
        "opportunity_id": "o", "event_time_ns": time_ns, "net_usd": "12.5", "net_bps": "7.25",
    } | more  # fmt: skip


def window_record(start_ns: int = 0, edge: str | None = "1.5", **outcomes: int) -> Record:
    """The record of a finished second."""
    return record(SPREADS, window(start_ns, edge, **outcomes))


def signal_record(kind: str, event: int = 0, time_ns: int = 0, **more: Any) -> Record:
    """The record of an event of an opportunity."""
    return record(SIGNALS, signal(kind, event, time_ns, **more))
