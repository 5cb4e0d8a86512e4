"""Bytes a row takes on disk, table by table, of results as the worker sends them, through the sink."""

from itertools import chain

from tests.benchmarks.store.ground import Bench, begin_ns, forget_offsets, ready
from tests.benchmarks.store.results import funding, quality, signals, spreads
from tests.benchmarks.worker.figures import Figure
from tests.clickhouse.asking import ask
from tests.integration.sink_parts import caught_up, until

TABLES = ("spreads_1s", "signals", "opportunity_events", "opportunities", "funding_rates", "feed_quality")
DEADLINE_S = 600.0


def sizes(bench: Bench) -> list[Figure]:
    """After all parts are merged into one per partition."""
    share = 10 if bench.quick else 1
    began = begin_ns()
    settings = bench.settings()
    bench.fill(settings, chain(
        spreads(500_000 // share, began), signals(100_000 // share, began), funding(50_000 // share, began),
        quality(100_000 // share, began),
    ))  # fmt: skip
    forget_offsets(settings)
    with ready(bench.sink(settings)):
        until("all is stored", lambda: caught_up(settings), DEADLINE_S)
    figures = []
    for table in TABLES:
        ask(settings.clickhouse_url, f"OPTIMIZE TABLE {table} FINAL", settings.clickhouse_database)
        sql = f"""SELECT sum(bytes_on_disk), sum(rows), sum(data_uncompressed_bytes) FROM system.parts
            WHERE active AND database = '{settings.clickhouse_database}' AND table = '{table}'"""
        on_disk, rows, plain = map(int, ask(settings.clickhouse_url, sql).split())
        note = f"{rows:,} rows, {plain / rows:,.0f} bytes uncompressed"
        figures.append(Figure(f"{table} on disk", on_disk / rows, "bytes/row", note=note))
    bench.drop(settings)
    return figures
