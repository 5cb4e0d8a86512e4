"""Result messages to rows of the tables: which message feeds which table, column by column.

| topic | primary table: one row per message | besides |
|---|---|---|
| `mts.signals` | `signals` | `opportunity_events` and `opportunities` for `arbitrage.*` |
| `mts.spreads` | `spreads_1s` | (`rejections_1s` is a view of it) |
| `mts.funding` | `funding_rates` | |
| `mts.quality` | `feed_quality` | |

A decimal is the integer that its column holds (scaled.py).
"""

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any, NamedTuple

from mts_stream.sinks.batching import Delivery
from mts_stream.sinks.scaled import BPS_PLACES, FEE_PLACES, MONEY_PLACES, scaled
from mts_stream.wire import topics
from mts_stream.wire.quick import read_signal, read_spread
from mts_stream.wire.results import parse_funding, parse_quality

SOURCE = ("source_partition", "source_offset")
_EDGES = (
    "edge_open_bps", "edge_high_bps", "edge_low_bps", "edge_close_bps", "edge_mean_bps",
    "net_bps_1k", "net_bps_10k", "net_bps_50k",
)  # fmt: skip
_LEG = (
    "venue", "market", "symbol", "price", "average_price", "fee_bps", "funding_rate",
)  # fmt: skip
_LEG_BOOK = ("next_funding_time", "book_age_ms", "sequence", "message_id", "generation")
_MONEY = (
    "size", "buy_notional", "sell_notional", "gross_usd", "fees_usd", "slippage_usd", "carry_usd",
    "net_entry_usd", "net_round_trip_usd", "net_usd",
)  # fmt: skip
_AMOUNTS = (*_MONEY, "net_bps", "edge_bps")
_END = ("reason", "duration_ns", "updates", "peak_net_usd", "size_at_peak", "survived_ms", "config_id")
_QUALITY = ("type", "subject", "pair", "venue", "market", "symbol", "window_start", "window_ms", "generation")
_QUALITY_FIGURES = (
    "state", "records", "applied", "valid_ms", "gaps", "stale_records", "differing_keyframes", "frames", "bytes",
    "reconnects", "resyncs", "dead_letters", "books", "books_synced", "queued_records", "queued_snapshots",
    "rest_weight_spent", "rest_weight_reported", "rest_weight_budget",
)  # fmt: skip
_QUALITY_MAPS = ("states", "invalidations", "frames_by_channel", "resyncs_by_reason")
_QUALITY_DECIMALS = (
    "valid_percent", "clock_offset_ms", "clock_offset_error_ms",
    *(f"latency_{name}_ms" for name in ("p50", "p90", "p99", "max")),
    *(f"latency_corrected_{name}_ms" for name in ("p50", "p90", "p99", "max")),
)  # fmt: skip


def _sides(columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{side}_{column}" for side in ("buy", "sell") for column in columns)


COLUMNS: dict[str, tuple[str, ...]] = {
    "signals": (
        "type", "pair", "direction", "event_time", "id", "schema_version",
        "emitted_time", "expires_time", "config_id", "message", *SOURCE,
    ),
    "opportunity_events": (
        "pair", "direction", "event_time", "opportunity_id", "event", "type",
        *_sides(_LEG + _LEG_BOOK), *_AMOUNTS, *_END, *SOURCE,
    ),
    "opportunities": (
        "pair", "direction", "opportunity_id", "event", "state", "opened_time", "event_time",
        *_sides(_LEG), *_AMOUNTS, *_END, *SOURCE,
    ),
    "spreads_1s": ("pair", "direction", "window_start", *_EDGES, "valid_ms", "evaluations", "outcomes", *SOURCE),
    "funding_rates": (
        "pair", "venue", "market", "symbol", "event_time", "message_id",
        "rate", "next_funding_time", "interval_hours", *SOURCE,
    ),
    "feed_quality": (*_QUALITY, *_QUALITY_FIGURES, *_QUALITY_MAPS, *_QUALITY_DECIMALS, *SOURCE),
}  # fmt: skip

FEEDS = {
    topics.SIGNALS: ("signals", "opportunity_events", "opportunities"),
    topics.SPREADS: ("spreads_1s",),
    topics.FUNDING: ("funding_rates",),
    topics.QUALITY: ("feed_quality",),
}
"""The tables that each topic fills, its primary one first."""

PRIMARY = {topic: tables[0] for topic, tables in FEEDS.items()}


class Row(NamedTuple):
    """One row of a table, in the order of COLUMNS."""

    table: str
    values: tuple[Any, ...]


def by_table(rows: Iterable[Row]) -> dict[str, list[tuple[Any, ...]]]:
    """The values of rows, by their tables."""
    tables: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        tables.setdefault(row.table, []).append(row.values)
    return tables


def rows_of(topic: str, delivery: Delivery) -> list[Row]:
    """The rows that a message becomes; raises BadRecordError where it does not fit its model or the columns."""
    source = (delivery.partition, delivery.offset)
    return [Row(table, (*values, *source)) for table, values in _ROWS[topic](delivery.value)]


Values = tuple[str, tuple[Any, ...]]


def _signal_rows(value: bytes | None) -> Iterator[Values]:
    signal = read_signal(value)
    direction = getattr(signal, "direction", "")  # a funding anomaly is about one leg
    yield "signals", (
        signal.type, signal.pair, direction, signal.event_time_ns, signal.id, signal.schema_version,
        signal.emitted_ns, signal.expires_ns, signal.config_id, value,
    )  # fmt: skip
    if signal.type in _ARBITRAGE:
        yield from _opportunity_rows(signal)


_ARBITRAGE = {"arbitrage.opened", "arbitrage.updated", "arbitrage.closed"}
_amounts = attrgetter(*_MONEY)
_edges = attrgetter(*_EDGES)


def _opportunity_rows(signal: Any) -> Iterator[Values]:
    buy, sell = signal.legs
    buying, selling = _leg(buy), _leg(sell)
    amounts = [scaled(text, MONEY_PLACES) for text in _amounts(signal)]
    rest = (*amounts, scaled(signal.net_bps, BPS_PLACES), scaled(signal.edge_bps, BPS_PLACES), *_end(signal))
    yield "opportunity_events", (
        signal.pair, signal.direction, signal.event_time_ns, signal.opportunity_id, signal.event, signal.type,
        *buying, *_leg_book(buy), *selling, *_leg_book(sell), *rest, signal.config_id,
    )  # fmt: skip
    state = "closed" if signal.type == "arbitrage.closed" else "open"
    yield "opportunities", (
        signal.pair, signal.direction, signal.opportunity_id, signal.event, state, _opened_ns(signal),
        signal.event_time_ns, *buying, *selling, *rest, signal.config_id,
    )  # fmt: skip


def _leg(leg: Any) -> tuple[Any, ...]:
    return (
        leg.venue, leg.market, leg.symbol, scaled(leg.price, MONEY_PLACES), scaled(leg.average_price, MONEY_PLACES),
        scaled(leg.fee_bps, FEE_PLACES), _money(leg.funding_rate),
    )  # fmt: skip


def _leg_book(leg: Any) -> tuple[Any, ...]:
    return leg.next_funding_ns, leg.book_age_ms, leg.sequence, leg.message_id, leg.generation


def _end(signal: Any) -> tuple[Any, ...]:
    if signal.type != "arbitrage.closed":
        return None, None, None, None, None, []
    return (
        signal.reason, signal.duration_ns, signal.updates,
        _money(signal.peak_net_usd), _money(signal.size_at_peak), list(signal.survived_ms),
    )  # fmt: skip


def _opened_ns(signal: Any) -> int | None:
    if signal.type == "arbitrage.opened":
        return int(signal.event_time_ns)
    return int(signal.event_time_ns - signal.duration_ns) if signal.type == "arbitrage.closed" else None


def _spread_rows(value: bytes | None) -> Iterator[Values]:
    row = read_spread(value)
    edges = [None if text is None else scaled(text, BPS_PLACES) for text in _edges(row)]
    yield "spreads_1s", (
        row.pair, row.direction, row.window_start_ns, *edges, row.valid_ms, row.evaluations, row.outcomes,
    )  # fmt: skip


def _funding_rows(value: bytes | None) -> Iterator[Values]:
    change = parse_funding(value)
    yield "funding_rates", (
        change.pair, change.venue, change.market, change.symbol, change.event_time_ns, change.message_id,
        _money(change.rate), change.next_funding_ns, change.interval_hours,
    )  # fmt: skip


def _quality_rows(value: bytes | None) -> Iterator[Values]:
    """What a type does not have is null, or an empty map."""
    report = parse_quality(value)
    yield "feed_quality", (
        report.type, report.subject, report.pair, report.venue, report.market, report.symbol,
        report.window_start_ns, report.window_ms, getattr(report, "gen", None),
        *(getattr(report, name, None) for name in _QUALITY_FIGURES),
        *(getattr(report, name, {}) for name in _QUALITY_MAPS),
        *(_bps(getattr(report, name, None)) for name in _QUALITY_DECIMALS),
    )  # fmt: skip


def _money(text: str | None) -> int | None:
    return None if text is None else scaled(text, MONEY_PLACES)


def _bps(text: str | None) -> int | None:
    return None if text is None else scaled(text, BPS_PLACES)


_ROWS: dict[str, Callable[[bytes | None], Iterable[Values]]] = {
    topics.SIGNALS: _signal_rows,
    topics.SPREADS: _spread_rows,
    topics.FUNDING: _funding_rows,
    topics.QUALITY: _quality_rows,
}
