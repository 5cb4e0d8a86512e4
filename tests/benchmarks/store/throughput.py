"""How fast the sink stores a backlog, beside bare inserts of the same blocks by clickhouse-connect; and what it takes.

Both in alternating rounds on the same gateway. The bare ones are of clickhouse-connect's async client, as many at once
as the sink has, of rows that stand in memory as Python values; the sink reads Kafka and judges every message besides.
"""

import asyncio
import time
from statistics import median
from typing import NamedTuple
from urllib.parse import urlsplit

import clickhouse_connect

from mts_stream.settings import Settings
from mts_stream.sinks.rows import COLUMNS
from mts_stream.sinks.writer import INSERTS_AT_ONCE
from tests.benchmarks.store.blocks import TABLE, Block, read_blocks
from tests.benchmarks.store.ground import (
    Bench,
    begin_ns,
    checksum,
    forget_offsets,
    ready,
    rows,
    wait_for_rows,
)
from tests.benchmarks.store.results import spreads
from tests.benchmarks.worker.bench import cpu_s, tell
from tests.benchmarks.worker.figures import Figure
from tests.integration.sink_parts import SinkProcess

ROUNDS, BAR_RATIO, BAR_ROWS_PER_S = 3, 0.7, 50_000.0


class Turn(NamedTuple):
    """One measured run."""

    rows_per_s: float
    cpu_us_per_row: float
    checksum: str


def throughput(bench: Bench) -> list[Figure]:
    """Windows, which are nearly all of what there is to store."""
    count = 200_000 if bench.quick else 1_000_000
    first = bench.settings()
    sent = bench.fill(first, spreads(count, begin_ns()))
    blocks = read_blocks(first)
    bench.drop(first)
    assert sum(map(len, blocks)) == sent
    bare, sink = [], []
    for number in range(ROUNDS):
        bare.append(_bare(bench, blocks))
        sink.append(_sink(bench, sent))
        tell(f"  round {number + 1}: bare {bare[-1].rows_per_s:,.0f} rows/s, sink {sink[-1].rows_per_s:,.0f} rows/s")
    ratios = [ours.rows_per_s / theirs.rows_per_s for ours, theirs in zip(sink, bare, strict=True)]
    note = f"{sent:,} rows in blocks of {len(blocks[0]):,}; ratios {min(ratios):.2f} to {max(ratios):.2f}"
    equal = len({turn.checksum for turn in (*bare, *sink)}) == 1
    return [
        Figure("sink / bare inserts of the same blocks", median(ratios), "ratio", BAR_RATIO, at_least=True, note=note),
        Figure("sink", median(turn.rows_per_s for turn in sink), "rows/s", BAR_ROWS_PER_S, at_least=True,
               note=f"{median(turn.cpu_us_per_row for turn in sink):.1f} us of CPU a row"),
        Figure("bare inserts", median(turn.rows_per_s for turn in bare), "rows/s",
               note=f"{median(turn.cpu_us_per_row for turn in bare):.1f} us of CPU a row"),
        Figure("rows that differ between both", float(not equal), "", 0.0, note=sink[0].checksum.replace("\t", " "),
               must=True),
    ]  # fmt: skip


def _bare(bench: Bench, blocks: list[Block]) -> Turn:
    settings = bench.settings()
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    asyncio.run(_insert_all(settings, blocks))
    took_s, took_cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
    count = rows(settings, TABLE)
    turn = Turn(count / took_s, took_cpu_s / count * 1e6, checksum(settings, TABLE))
    bench.drop(settings)
    return turn


async def _insert_all(settings: Settings, blocks: list[Block]) -> None:
    address = urlsplit(settings.clickhouse_url)
    client = await clickhouse_connect.get_async_client(
        host=address.hostname, port=address.port, database=settings.clickhouse_database
    )
    context = await client.create_insert_context(TABLE, list(COLUMNS[TABLE]))
    waiting = iter(blocks)

    async def insert_some() -> None:
        for block in waiting:
            await client.insert(
                TABLE, block.columns, column_names=COLUMNS[TABLE], column_oriented=True,
                column_types=context.column_types,
                settings={"async_insert": 0, "insert_deduplication_token": block.token},
            )  # fmt: skip

    async with asyncio.TaskGroup() as tasks:
        for _ in range(INSERTS_AT_ONCE):
            tasks.create_task(insert_some())
    await client.close()


def _sink(bench: Bench, count: int) -> Turn:
    """From the first row that a query sees to the last one."""
    settings = bench.settings()
    forget_offsets(settings)
    with ready(bench.sink(settings)) as sink:
        turn = measured(settings, sink, count)
    bench.drop(settings)
    return turn


def measured(settings: Settings, sink: SinkProcess, count: int) -> Turn:
    """The rate of a sink that has begun, by the rows that are left then."""
    began_s = wait_for_rows(settings, TABLE, 1)
    begun, began_cpu_s = rows(settings, TABLE), cpu_s(sink.process.pid)
    ended_s = wait_for_rows(settings, TABLE, count)
    left = max(1, count - begun)
    cpu_us = (cpu_s(sink.process.pid) - began_cpu_s) / left * 1e6
    return Turn(left / (ended_s - began_s), cpu_us, checksum(settings, TABLE))
