"""Result messages as they stand on the topics: the true ones of a conformance capture, and one of every other kind."""

import gzip
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from mts_stream.sinks.batching import Delivery
from mts_stream.wire import topics

CAPTURES = Path(__file__).parents[1] / "data" / "conformance"
HOUR_NS = 3_600_000_000_000
START_NS = 1_723_161_250_000_000_000
CONFIG_ID = "c0ffee" + "0" * 58
OPPORTUNITY = "4911c7fe-d39a-5f24-afe7-0e5a8e3858c1"
Message = dict[str, Any]
Sent = tuple[str, bytes, bytes]  # topic, key, value


def expected(name: str) -> dict[str, dict[str, list[Message]]]:
    """What must come out of a conformance capture."""
    with gzip.open(CAPTURES / f"{name}.expected.json.gz") as file:
        return json.load(file)


def arbitrage(name: str = "btc") -> list[Message]:
    """The arbitrage messages of a capture, complete with what depends on when they are sent and with which settings."""
    found = [message for messages in expected(name)["arbitrage"].values() for message in messages]
    return [
        message
        | {
            "emitted_ns": message["event_time_ns"] + 1_000_000,
            "expires_ns": message["event_time_ns"] + 1_500_000_000,
            "config_id": CONFIG_ID,
        }
        for message in found
    ]


def windows(name: str = "btc") -> list[Message]:
    """The window rows of a capture."""
    return [row for rows in expected(name)["windows"].values() for row in rows]


def of_type(kind: str) -> Message:
    """The first arbitrage message of a type."""
    return next(message for message in arbitrage() if message["type"] == kind)


def _signal(kind: str) -> Message:
    return {
        "id": f"{OPPORTUNITY}-0", "type": kind, "schema_version": 1, "pair": "BTC-USDT", "event_time_ns": START_NS,
        "emitted_ns": START_NS + 1, "expires_ns": START_NS + 2, "config_id": CONFIG_ID,
        "direction": "binance:perp>bybit:perp",
    }  # fmt: skip


def funding_signal(kind: str = "funding.opened") -> Message:
    """A funding arbitrage, opened or closed."""
    message = _signal(kind) | {
        "opportunity_id": OPPORTUNITY, "event": 0, "legs": of_type("arbitrage.opened")["legs"],
        "carry_bps": "31.5", "cost_bps": "25", "net_bps": "6.5", "break_even_ns": None,
    }  # fmt: skip
    return message | ({"reason": "below_threshold", "duration_ns": 5} if kind == "funding.closed" else {})


def anomaly() -> Message:
    """A spread anomaly that begins."""
    return _signal("spread.anomaly") | {
        "window_start_ns": START_NS, "phase": "started", "edge_bps": "40", "median_bps": "2.5", "mad_bps": "0.5",
        "score": "50.5857", "reason": None,
    }  # fmt: skip


def funding_anomaly() -> Message:
    """A rate beyond its own history."""
    message = _signal("funding.anomaly") | {
        "kind": "rate", "venue": "bybit", "market": "perp", "symbol": "BTCUSDT",
        "message_id": "bybit/perp/BTCUSDT/y-perp-1/1/7", "rate": "0.0021", "previous_rate": "0.0001",
        "interval_hours": 8, "previous_interval_hours": 8, "median_bps": "1", "mad_bps": "0.05", "score": "134.9",
    }  # fmt: skip
    del message["direction"]
    return message


def trading_signal() -> Message:
    """What a strategy says."""
    return _signal("trading.signal") | {
        "strategy": "net", "action": "enter", "notional_usd": "1000", "score": None, "reason": "net above threshold",
        "opportunity_id": OPPORTUNITY,
    }  # fmt: skip


def signals() -> list[Message]:
    """One message of every type."""
    arbitrages = [of_type(f"arbitrage.{kind}") for kind in ("opened", "updated", "closed")]
    fundings = [funding_signal(f"funding.{kind}") for kind in ("opened", "closed")]
    return [*arbitrages, *fundings, anomaly(), funding_anomaly(), trading_signal()]


def funding_change(number: int = 0) -> Message:
    """A change of a funding rate; the numbers tell them apart."""
    return {
        "message_id": f"bybit/perp/BTCUSDT/y-perp-1/1/{number}", "pair": "BTC-USDT", "venue": "bybit", "market": "perp",
        "symbol": "BTCUSDT", "event_time_ns": START_NS + number, "rate": "-0.000125", "next_funding_ns": None,
        "interval_hours": 8,
    }  # fmt: skip


def book_quality(number: int = 0) -> Message:
    """A minute of a book."""
    return {
        "type": "book", "subject": "binance/perp/BTCUSDT", "pair": "BTC-USDT", "venue": "binance", "market": "perp",
        "symbol": "BTCUSDT", "window_start_ns": START_NS + number * 60_000_000_000, "window_ms": 60_000,
        "state": "valid", "records": 1200, "applied": 1190, "valid_ms": 59_000,
        "states": {"valid": 59_000, "gap": 1000}, "invalidations": {"gap": 1}, "valid_percent": "98.3333",
        "gaps": 1, "stale_records": 2, "resyncs": 1, "differing_keyframes": 0, "latency_p50_ms": "12",
        "latency_p90_ms": "15", "latency_p99_ms": "80", "latency_max_ms": "120",
    }  # fmt: skip


def connection_quality(number: int = 0) -> Message:
    """A second of a producer's connection."""
    return {
        "type": "connection", "subject": "b-perp-1", "pair": "", "venue": "binance", "market": "perp", "symbol": "",
        "window_start_ns": START_NS + number * 1_000_000_000, "window_ms": 1000, "frames": 190, "bytes": 80_000,
        "reconnects": 0, "resyncs": 0, "gen": 1_723_161_250_000, "queued_records": 3,
        "latency_p50_ms": "12.5", "latency_p99_ms": None, "latency_p90_ms": "13", "latency_max_ms": "-0.25",
        "clock_offset_ms": "-1270.5", "clock_offset_error_ms": "6.2", "latency_corrected_p50_ms": "-1258",
        "latency_corrected_p90_ms": "-1257.5", "latency_corrected_p99_ms": None, "latency_corrected_max_ms": None,
        "frames_by_channel": {"depth": 180, "funding": 10}, "gaps": 1, "resyncs_by_reason": {"gap": 1}, "books": 20,
        "books_synced": 19, "valid_percent": "95.125", "dead_letters": 0, "queued_snapshots": 1,
        "rest_weight_spent": 40, "rest_weight_reported": None, "rest_weight_budget": 1200,
    }  # fmt: skip


def sent(topic: str, message: Message) -> Sent:
    """A message as it is sent."""
    key = message["subject"] if message.get("type") == "connection" else message["pair"]
    return topic, key.encode(), json.dumps(message).encode()


def everything(name: str = "btc", others: int = 20) -> list[Sent]:
    """All results of a capture, and some of what the engine and the producers say besides."""
    return [
        *(sent(topics.SIGNALS, message) for message in arbitrage(name)),
        *(sent(topics.SPREADS, row) for row in windows(name)),
        *(sent(topics.FUNDING, funding_change(number)) for number in range(others)),
        *(sent(topics.QUALITY, book_quality(number)) for number in range(others)),
        *(sent(topics.QUALITY, connection_quality(number)) for number in range(others)),
    ]


def without_end(name: str = "btc") -> Iterator[Sent]:
    """The results of a capture again and again, each time of another hour and other opportunities: all distinct."""
    for hour in count():
        for topic, key, value in everything(name):
            message = json.loads(value)
            for field in ("event_time_ns", "emitted_ns", "expires_ns", "window_start_ns"):
                if field in message:
                    message[field] += hour * HOUR_NS
            if "message_id" in message:
                message["message_id"] += f"/{hour}"
            if "opportunity_id" in message:
                message["opportunity_id"] = str(uuid5(UUID(message["opportunity_id"]), str(hour)))
                message["id"] = f"{message['opportunity_id']}-{message['event']}"
            yield topic, key, json.dumps(message).encode()


def delivery(message: Message | bytes, offset: int = 0, partition: int = 0) -> Delivery:
    """A message as it is read."""
    return Delivery(partition, offset, message if isinstance(message, bytes) else json.dumps(message).encode())
