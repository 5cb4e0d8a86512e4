"""True results of the recorded capture, moved to another pair and to the present, as the topics carry them."""

import gzip
import json
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from mts_stream.web.messages import Told, decode
from mts_stream.wire.kafka import Record
from mts_stream.wire.topics import FUNDING, QUALITY, SIGNALS, SPREADS

CAPTURE = Path(__file__).parents[1] / "data" / "conformance" / "btc.expected.json.gz"
S, MS = 1_000_000_000, 1_000_000
TTL_NS = 1500 * MS
Message = tuple[str, dict[str, Any]]


@cache
def _capture() -> dict[str, Any]:
    return json.loads(gzip.decompress(CAPTURE.read_bytes()))


def windows(pair: str, start_ns: int, seconds: int = 100) -> list[Message]:
    """The capture's windows of every direction for `seconds`, the first of which starts at `start_ns`."""
    rows = _capture()["windows"]["BTC-USDT"]
    first = min(row["window_start_ns"] for row in rows)
    by = start_ns // S * S - first
    chosen = [row for row in rows if row["window_start_ns"] < first + seconds * S]
    chosen.sort(key=lambda row: (row["window_start_ns"], row["direction"]))
    return [(SPREADS, row | {"pair": pair, "window_start_ns": row["window_start_ns"] + by}) for row in chosen]


def lives() -> list[list[dict[str, Any]]]:
    """The events of each opportunity of the capture, in the order of their opening."""
    by_id: dict[str, list[dict[str, Any]]] = {}
    for message in _capture()["arbitrage"]["BTC-USDT"]:
        by_id.setdefault(message["opportunity_id"], []).append(message)
    return list(by_id.values())


def life(pair: str, opened_ns: int, index: int = 0) -> list[Message]:
    """One opportunity from its opening at `opened_ns` to its close."""
    events = lives()[index]
    by = opened_ns - events[0]["event_time_ns"]
    opportunity_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{pair} {opened_ns} {index}"))
    return [(SIGNALS, _moved(event, pair, by, opportunity_id)) for event in events]


def _moved(event: dict[str, Any], pair: str, by: int, opportunity_id: str) -> dict[str, Any]:
    at_ns = event["event_time_ns"] + by
    return event | {
        "id": f"{opportunity_id}-{event['event']}",
        "opportunity_id": opportunity_id,
        "pair": pair,
        "event_time_ns": at_ns,
        "emitted_ns": at_ns,
        "expires_ns": at_ns + TTL_NS,
        "config_id": "0" * 64,
    }


def funding(pair: str, at_ns: int, rate: str | None = "0.0001", venue: str = "binance") -> Message:
    """A change of funding."""
    return FUNDING, {
        "message_id": f"{venue}/perp/BTCUSDT/f-1/1/{at_ns}",
        "pair": pair,
        "venue": venue,
        "market": "perp",
        "symbol": "BTCUSDT",
        "event_time_ns": at_ns,
        "rate": rate,
        "next_funding_ns": at_ns + 7200 * S,
        "interval_hours": 8,
    }


def book(pair: str, start_ns: int, state: str, venue: str = "binance", market: str = "perp") -> Message:
    """A minute of one book."""
    return QUALITY, {
        "type": "book", "subject": f"{venue}/{market}/BTCUSDT", "pair": pair, "venue": venue, "market": market,
        "symbol": "BTCUSDT", "window_start_ns": start_ns, "window_ms": 60_000, "state": state, "records": 9,
        "applied": 9, "valid_ms": 0, "states": {state: 60_000}, "invalidations": {},
    }  # fmt: skip


def connection(subject: str, start_ns: int, frames: int = 50, **more: Any) -> Message:
    """A second of one connection."""
    return QUALITY, {
        "type": "connection", "subject": subject, "pair": "", "venue": "bybit", "market": "perp", "symbol": "",
        "window_start_ns": start_ns, "window_ms": 1000, "frames": frames, "bytes": 4000, "reconnects": 0,
        "resyncs": 0, "gen": 1, "queued_records": 0, "latency_p50_ms": "2.5", "latency_p99_ms": "11.31",
    } | more  # fmt: skip


def told(message: Message) -> tuple[str, Told | None]:
    """The message as the reader hands it over."""
    topic, value = message
    return topic, decode(Record(topic, 0, 0, b"", json.dumps(value).encode(), 0))


def records(messages: list[Message]) -> Iterator[tuple[str, bytes, bytes]]:
    """The messages as Kafka's producers take them."""
    for topic, value in messages:
        key = value["pair"] or value.get("subject", "")
        yield topic, key.encode(), json.dumps(value).encode()
