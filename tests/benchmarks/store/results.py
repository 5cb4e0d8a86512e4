"""Results as the worker sends them, as many as one likes: a capture's own with other names, times and numbers.

Numbers vary so that what is measured on disk is no repetition: edges walk, amounts have a factor of their own.
"""

import json
import random
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from mts_stream.wire import topics
from tests.sinks import messages

PAIRS, NS_PER_S, NS_PER_MS = 400, 10**9, 10**6
DIRECTIONS = (
    "binance:perp>bybit:perp", "bybit:perp>binance:perp", "binance:spot>bybit:spot", "bybit:spot>binance:spot",
    "binance:spot>bybit:perp", "bybit:spot>binance:perp",
)  # fmt: skip
OUTCOMES = ("no_edge", "below_threshold", "book_gap", "too_small")
AMOUNTS = (
    "size", "buy_notional", "sell_notional", "gross_usd", "fees_usd", "slippage_usd", "carry_usd", "net_entry_usd",
    "net_round_trip_usd", "net_usd", "peak_net_usd", "size_at_peak",
)  # fmt: skip
PLACES = 12


class Made(NamedTuple):
    """A record of a stored topic."""

    topic: str
    key: bytes
    value: bytes


def text(number: float, places: int) -> str:
    """A plain decimal string, as the wire has them."""
    found = f"{number:.{places}f}".rstrip("0").rstrip(".") if places else f"{number:.0f}"
    return "0" if found in ("-0", "") else found


def spreads(count: int, begin_ns: int, seed: int = 0) -> Iterator[Made]:
    """Windows, second by second, of 400 pairs in six directions each."""
    draw = random.Random(seed)
    series = [(f"P{pair:03d}-USDT", direction) for pair in range(PAIRS) for direction in DIRECTIONS]
    edges = [draw.gauss(-4, 6) for _ in series]
    for number in range(count):
        second, index = divmod(number, len(series))
        pair, direction = series[index]
        opened = edges[index]
        moves = sorted(opened + draw.gauss(0, 0.8) for _ in range(3))
        edges[index] = close = moves[draw.randrange(3)]
        quiet, evaluations = draw.random() < 0.7, draw.randrange(4, 60)
        first = evaluations if quiet else draw.randrange(1, evaluations)
        outcomes = {"no_edge": first} if quiet else {"no_edge": first, OUTCOMES[1 + index % 3]: evaluations - first}
        net = close - 20
        row = {
            "pair": pair, "direction": direction, "window_start_ns": begin_ns + second * NS_PER_S,
            "edge_open_bps": text(opened, 4), "edge_high_bps": text(moves[2], 4), "edge_low_bps": text(moves[0], 4),
            "edge_close_bps": text(close, 4), "edge_mean_bps": text(sum(moves) / 3, 4),
            "net_bps_1k": text(net, 4), "net_bps_10k": text(net - draw.random(), 4),
            "net_bps_50k": text(net - 1 - draw.random(), 4), "valid_ms": 1000 if index % 20 else draw.randrange(1000),
            "evaluations": evaluations, "outcomes": outcomes,
        }  # fmt: skip
        yield Made(topics.SPREADS, pair.encode(), orjson.dumps(row))


@lru_cache
def _templates() -> list[dict[str, Any]]:
    return messages.arbitrage()


def signals(count: int, begin_ns: int, every_ns: int = NS_PER_MS, seed: int = 0) -> Iterator[Made]:
    """Events of opportunities, three to an opportunity on average, as the capture has them."""
    draw, templates = random.Random(seed), _templates()
    for number in range(count):
        message = dict(templates[number % len(templates)])
        turn, pair = number // len(templates), f"P{number % PAIRS:03d}-USDT"
        opportunity = f"{turn:08x}{message['opportunity_id'][8:]}"
        at_ns, factor = begin_ns + number * every_ns, draw.uniform(0.2, 1.8)
        message |= {
            "opportunity_id": opportunity, "id": f"{opportunity}-{message['event']}", "pair": pair,
            "event_time_ns": at_ns, "emitted_ns": at_ns + draw.randrange(NS_PER_MS),
            "expires_ns": at_ns + 1_500_000_000,
            "legs": [_leg(leg, pair, at_ns, factor, number) for leg in message["legs"]],
        }  # fmt: skip
        for name in AMOUNTS:
            if message.get(name) is not None:
                message[name] = text(float(message[name]) * factor, PLACES)
        message["net_bps"], message["edge_bps"] = text(factor * 9, 4), text(factor * 31, 4)
        yield Made(topics.SIGNALS, pair.encode(), orjson.dumps(message))


def _leg(leg: dict[str, Any], pair: str, at_ns: int, factor: float, number: int) -> dict[str, Any]:
    symbol = pair.replace("-", "")
    connection = "/".join(leg["message_id"].split("/")[3:5])
    return leg | {
        "symbol": symbol, "sequence": leg["sequence"] + number * 7, "price": text(float(leg["price"]) * factor, 2),
        "average_price": text(float(leg["average_price"]) * factor, PLACES),
        "message_id": f"{leg['venue']}/{leg['market']}/{symbol}/{connection}/{at_ns // 10**7 % 10**7}",
    }  # fmt: skip


def funding(count: int, begin_ns: int, seed: int = 0) -> Iterator[Made]:
    """Changes of rates, of both venues' perps."""
    draw = random.Random(seed)
    for number in range(count):
        pair, venue = f"P{number % PAIRS:03d}-USDT", ("binance", "bybit")[number // PAIRS % 2]
        symbol = pair.replace("-", "")
        change = messages.funding_change() | {
            "message_id": f"{venue}/perp/{symbol}/{venue}-perp-1/1/{number}", "pair": pair, "venue": venue,
            "symbol": symbol, "event_time_ns": begin_ns + number * NS_PER_S // PAIRS + draw.randrange(NS_PER_MS),
            "rate": text(draw.gauss(0.0001, 0.0002), 8), "next_funding_ns": begin_ns + 8 * 3600 * NS_PER_S,
        }  # fmt: skip
        yield Made(topics.FUNDING, pair.encode(), orjson.dumps(change))


def quality(count: int, begin_ns: int, seed: int = 0) -> Iterator[Made]:
    """Minutes of books, and as many seconds of connections."""
    draw = random.Random(seed)
    for number in range(count):
        latencies = sorted(draw.expovariate(1 / 20) for _ in range(4))
        figures = dict(zip((f"latency_{name}_ms" for name in ("p50", "p90", "p99", "max")),
                           (text(each, 2) for each in latencies), strict=True))  # fmt: skip
        report = _book(number, begin_ns, draw) if number % 2 else _connection(number, begin_ns, draw)
        key = report["pair"] or report["subject"]
        yield Made(topics.QUALITY, key.encode(), orjson.dumps(report | figures))


def _book(number: int, begin_ns: int, draw: random.Random) -> dict[str, Any]:
    pair = f"P{number // 2 % PAIRS:03d}-USDT"
    symbol, valid_ms, records = pair.replace("-", ""), 60_000 - draw.randrange(3) * 17, draw.randrange(300, 1500)
    return messages.book_quality() | {
        "subject": f"binance/perp/{symbol}", "pair": pair, "symbol": symbol,
        "window_start_ns": begin_ns + number // 2 // PAIRS * 60 * NS_PER_S, "records": records,
        "applied": records - draw.randrange(5), "valid_ms": valid_ms,
        "states": {"valid": valid_ms, **({"gap": 60_000 - valid_ms} if valid_ms < 60_000 else {})},
        "valid_percent": text(valid_ms / 600, 4),
    }  # fmt: skip


def _connection(number: int, begin_ns: int, draw: random.Random) -> dict[str, Any]:
    frames = draw.randrange(100, 300)
    return messages.connection_quality() | {
        "subject": f"b-perp-{number // 2 % 20}", "window_start_ns": begin_ns + number // 40 * NS_PER_S,
        "frames": frames, "bytes": frames * draw.randrange(300, 500), "queued_records": draw.randrange(5),
        "frames_by_channel": {"depth": frames - 10, "funding": 10},
        "clock_offset_ms": text(draw.gauss(-3, 1), 2),
    }  # fmt: skip


def distinct_keys(made: list[Made]) -> int:
    """How many rows these are in their primary tables, each natural key once."""
    return len({_key(record) for record in made})


def _key(record: Made) -> tuple[Any, ...]:
    message = json.loads(record.value)
    names = {
        topics.SIGNALS: ("id",), topics.SPREADS: ("pair", "direction", "window_start_ns"),
        topics.FUNDING: ("message_id",), topics.QUALITY: ("type", "subject", "window_start_ns"),
    }[record.topic]  # fmt: skip
    return (record.topic, *(message[name] for name in names))
