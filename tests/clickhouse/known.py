"""Rows from which every answer can be worked out by hand; some are stored twice, and some are too old to count.

opportunity   began      pair, direction                    bought   gross  fees  exit  slip  carry   net
A             H+10 min   BTC-USDT  binance:perp>bybit:perp   10000      60    15    15    10      0    20, at its best:
                                                             10000      70    15    15    10      0    30, closed so
B             H+20 min   BTC-USDT  binance:perp>bybit:perp    5000      30     5     5    10      0    10
C             H+1 h      BTC-USDT  bybit:perp>binance:perp    2000      24     8     8     4      1     5
D             H+1 h      ETH-USDT  binance:spot>bybit:spot    1000      50     8           2      0    40, open
E             40 days ago
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.clickhouse.asking import ask

Row = dict[str, Any]
NOW = datetime.now(UTC).replace(microsecond=0)
H = NOW.replace(minute=0, second=0) - timedelta(hours=50)
RECENT = NOW - timedelta(hours=2)
THERE, BACK, SPOT = "binance:perp>bybit:perp", "bybit:perp>binance:perp", "binance:spot>bybit:spot"
BTC, ETH = "BTC-USDT", "ETH-USDT"
NAMES = {letter: f"{number:08d}-0000-4000-8000-000000000000" for number, letter in enumerate("ABCDE")}


def after(**delta: float) -> datetime:
    """A time after H."""
    return H + timedelta(**delta)


def text(time: datetime) -> str:
    """A time as ClickHouse reads and writes it."""
    return time.strftime("%Y-%m-%d %H:%M:%S.%f")


def _event(
    letter: str, number: int, time: datetime, where: tuple[str, str], bought: int, amounts: tuple[int, ...], offset: int
) -> Row:
    gross, fees, slippage, carry = amounts
    entry = gross - fees - slippage + carry
    round_trip = entry - fees
    legs = dict(zip(("buy", "sell"), where[1].split(">"), strict=True))
    sides = {f"{side}_venue": leg.split(":")[0] for side, leg in legs.items()}
    sides |= {f"{side}_market": leg.split(":")[1] for side, leg in legs.items()}
    return {
        "pair": where[0], "direction": where[1], "event_time": text(time), "opportunity_id": NAMES[letter],
        "event": number, "type": "arbitrage.updated" if number else "arbitrage.opened", **sides,
        "buy_average_price": 100, "sell_average_price": 101, "size": bought / 100,
        "buy_notional": bought, "sell_notional": bought + gross, "gross_usd": gross, "fees_usd": fees,
        "slippage_usd": slippage, "carry_usd": carry, "net_entry_usd": entry, "net_round_trip_usd": round_trip,
        "net_usd": entry if "spot" in where[1] else round_trip,
        "net_bps": round(10_000 * (entry if "spot" in where[1] else round_trip) / bought, 4), "source_offset": offset,
    }  # fmt: skip


def _events() -> list[Row]:
    first, best = (60, 15, 10, 0), (70, 15, 10, 0)
    return [
        _event("A", 0, after(minutes=10), (BTC, THERE), 10_000, first, 1),
        _event("A", 1, after(minutes=11), (BTC, THERE), 10_000, best, 2),
        _event("A", 1, after(minutes=11), (BTC, THERE), 10_000, best, 3),  # it came twice
        _event("A", 2, after(minutes=12), (BTC, THERE), 10_000, best, 4),
        _event("B", 0, after(minutes=20), (BTC, THERE), 5_000, (30, 5, 10, 0), 5),
        _event("C", 0, after(hours=1), (BTC, BACK), 2_000, (24, 8, 4, 1), 6),
        _event("D", 0, after(hours=1), (ETH, SPOT), 1_000, (50, 8, 2, 0), 7),
        _event("E", 0, NOW - timedelta(days=40), (BTC, THERE), 1_000, (900, 1, 1, 0), 8),
    ]


def _opportunity(letter: str, where: tuple[str, str], event: int, duration_ms: int | None) -> Row:
    return {
        "pair": where[0], "direction": where[1], "opportunity_id": NAMES[letter], "event": event,
        "state": "open" if duration_ms is None else "closed", "event_time": text(after(hours=1)),
        "duration_ns": None if duration_ms is None else duration_ms * 1_000_000,
        "reason": None if duration_ms is None else "no_edge", "peak_net_usd": None if duration_ms is None else 30,
    }  # fmt: skip


def _opportunities() -> list[Row]:
    return [
        _opportunity("A", (BTC, THERE), 0, None), _opportunity("A", (BTC, THERE), 2, 300),
        _opportunity("B", (BTC, THERE), 1, 80), _opportunity("C", (BTC, BACK), 1, 5),
        _opportunity("D", (ETH, SPOT), 0, None),
    ]  # fmt: skip


def _window(where: tuple[str, str], start: datetime, mean: float, high: float, outcomes: dict[str, int]) -> Row:
    edges = dict.fromkeys(("edge_open_bps", "edge_low_bps", "edge_close_bps", "edge_mean_bps"), mean)
    return {
        "pair": where[0], "direction": where[1], "window_start": text(start), **edges, "edge_high_bps": high,
        "net_bps_1k": mean - 10, "net_bps_10k": mean - 11, "net_bps_50k": None, "valid_ms": 1000,
        "evaluations": sum(outcomes.values()), "outcomes": outcomes, "source_offset": 1,
    }  # fmt: skip


def _windows() -> list[Row]:
    busy = {"no_edge": 8, "below_threshold": 1, "signal": 1}
    rows = [_window((BTC, THERE), after(seconds=n), n + 1, 9 if n == 2 else n + 1, busy) for n in range(5)]
    rows.append({**rows[-1], "source_offset": 2})  # it came twice
    quiet = {"book_gap": 3, "no_edge": 1}
    rows += [_window((ETH, SPOT), after(hours=1, seconds=n), n - 2, -0.5, quiet) for n in range(2)]
    return [*rows, _window((BTC, THERE), NOW - timedelta(days=40), 500, 500, {"implausible": 1})]


def _rate(venue: str, stated: datetime, settles: datetime, rate: float) -> Row:
    return {
        "pair": BTC, "venue": venue, "market": "perp", "symbol": "BTCUSDT", "event_time": text(stated),
        "message_id": f"{venue}/{text(stated)}", "rate": rate, "next_funding_time": text(settles), "interval_hours": 8,
    }  # fmt: skip


def _rates() -> list[Row]:
    first, between, second = after(hours=8), after(hours=12), after(hours=16)
    return [
        _rate("binance", after(hours=1), first, 0.0005), _rate("binance", after(hours=7), first, 0.0001),
        _rate("binance", after(hours=9), first, 0.009),  # stated after it had settled
        _rate("binance", after(hours=10), second, 0.0002),
        _rate("bybit", after(hours=1), first, 0.0003), _rate("bybit", after(hours=9), between, 0.0001),
        _rate("bybit", after(hours=13), second, -0.0001),
        _rate("bybit", after(hours=20), NOW + timedelta(hours=2), 0.5),  # has not settled yet
    ]  # fmt: skip


def _book(venue: str, minute: int, states: dict[str, int], invalidations: dict[str, int]) -> Row:
    return {
        "type": "book", "subject": f"{venue}/perp/BTCUSDT", "pair": BTC, "venue": venue, "market": "perp",
        "symbol": "BTCUSDT", "window_start": text(after(minutes=minute)), "window_ms": 60_000, "state": "valid",
        "records": 600, "applied": 590, "valid_ms": states.get("valid", 0), "gaps": invalidations.get("gap", 0),
        "stale_records": 1, "resyncs": 1, "states": states, "invalidations": invalidations,
        "valid_percent": round(states.get("valid", 0) / 600, 4), "latency_p50_ms": 12, "latency_p99_ms": 40,
    }  # fmt: skip


def _connection(second: int, latencies: tuple[int, ...], corrected: tuple[int, int | None]) -> Row:
    names = ("latency_p50_ms", "latency_p90_ms", "latency_p99_ms", "latency_max_ms")
    return {
        "type": "connection", "subject": "binance-perp-1", "venue": "binance", "market": "perp",
        "window_start": text(RECENT + timedelta(seconds=second)), "window_ms": 1000, "frames": 190, "bytes": 80_000,
        "reconnects": 0, "resyncs": 1, "books": 20, "books_synced": 19, "queued_records": 3, "gaps": 1,
        "frames_by_channel": {"depth": 180, "funding": 10}, "dead_letters": 0, "clock_offset_ms": 5,
        "rest_weight_spent": 40, "rest_weight_budget": 1200, **dict(zip(names, latencies, strict=True)),
        "latency_corrected_p50_ms": corrected[0], "latency_corrected_p99_ms": corrected[1],
    }  # fmt: skip


def _quality() -> list[Row]:
    return [
        _book("binance", 0, {"valid": 57_000, "gap": 3_000}, {"gap": 1}), _book("binance", 1, {"valid": 60_000}, {}),
        _book("bybit", 0, {"valid": 30_000, "silent": 30_000}, {"silent": 2, "crossed": 1}),
        _connection(0, (10, 20, 30, 45), (5, 10)), _connection(1, (20, 40, 50, 60), (7, None)),
    ]  # fmt: skip


def _signals() -> list[Row]:
    rows: list[Row] = [
        {
            "type": "arbitrage.opened", "pair": BTC, "direction": THERE, "event_time": text(RECENT),
            "id": f"{NAMES['A']}-{sent_ms}", "emitted_time": text(RECENT + timedelta(milliseconds=sent_ms)),
            "expires_time": text(RECENT), "stored_at": text(RECENT + timedelta(milliseconds=500))[:-3],
            "message": "{}",
        }
        for sent_ms in (1, 2, 3)
    ]  # fmt: skip
    found = {
        "funding.opened": {"carry_bps": "31.5", "cost_bps": "25", "net_bps": "6.5"},
        "spread.anomaly": {"phase": "started", "edge_bps": "40", "median_bps": "2.5", "score": "50.6"},
        "funding.anomaly": {"kind": "rate", "venue": "bybit", "rate": "0.0021", "previous_rate": None, "score": "135"},
    }
    before = {name: text(after(hours=1)) for name in ("event_time", "emitted_time", "expires_time")}
    others = [rows[0] | before | {"type": kind, "id": kind, "message": json.dumps(m)} for kind, m in found.items()]
    return [*rows, *others]


ROWS = {
    "opportunity_events": _events, "opportunities": _opportunities, "spreads_1s": _windows, "funding_rates": _rates,
    "feed_quality": _quality, "signals": _signals,
}  # fmt: skip


def store_known_rows(url: str, database: str) -> None:
    """Fill the tables of a migrated database."""
    for table, rows in ROWS.items():
        columns = sorted({name for row in rows() for name in row})
        lines = "\n".join(json.dumps(row) for row in rows())
        ask(url, f"INSERT INTO {table} ({', '.join(columns)}) FORMAT JSONEachRow\n{lines}", database)
