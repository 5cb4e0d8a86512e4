"""What a replay costs beside the bare work under it, and whether it keeps anything: `make measure`.

BENCH_RECORDS=10000000 measures the memory over ten million records (half an hour of CPU).
"""

import gzip
import os
import re
import time
from bisect import bisect_left, insort
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.exact import DECIMALS, plain
from mts_stream.errors import BadRecordError
from mts_stream.replay.captures import Unreadable
from mts_stream.replay.running import Job, run_job, run_lines
from mts_stream.wire.codec import decode_record

CAPTURE = Path(__file__).parents[1] / "data" / "conformance" / "btc.jsonl.gz"
RECORDS = int(os.environ.get("BENCH_RECORDS", "200000"))
TOLD_EVERY = max(RECORDS // 10, 10_000)
GROWTH_BYTES_MAX = 16 << 20
MIB = 1 << 20

Books = dict[str, dict[str, dict[float, float]]]  # leg of a pair, side, price, size


class BareSide:
    """A side as the quickest plain code keeps it: floats, a dict and a sorted list."""

    def __init__(self) -> None:
        self.sizes: dict[float, float] = {}
        self.prices: list[float] = []

    def replace(self, levels: list[list[str]]) -> None:
        """Take over a whole side."""
        self.sizes = {float(price): float(size) for price, size in levels if float(size)}
        self.prices = sorted(self.sizes)

    def update(self, levels: list[list[str]], lowest: float, highest: float) -> None:
        """Apply changes within the known range."""
        for price_text, size_text in levels:
            price, size = float(price_text), float(size_text)
            if not lowest <= price <= highest:
                continue
            if size:
                if price not in self.sizes:
                    insort(self.prices, price)
                self.sizes[price] = size
            elif self.sizes.pop(price, None) is not None:
                del self.prices[bisect_left(self.prices, price)]


class BareBook:
    """Both sides and the known range."""

    def __init__(self) -> None:
        self.bids, self.asks = BareSide(), BareSide()
        self.lowest, self.highest = 0.0, float("inf")

    def apply(self, record: dict[str, Any]) -> None:
        """A keyframe, a snapshot or a diff of either venue."""
        frame = record["frame"]
        data = frame.get("data", frame)
        bids, asks = data.get("b", data.get("bids")), data.get("a", data.get("asks"))
        if record["kind"] == "keyframe" or frame.get("type") == "snapshot":
            self.lowest, self.highest = (float(bound) for bound in record.get("range") or (0, "inf"))
            self.bids.replace(bids)
            self.asks.replace(asks)
        else:
            self.bids.update(bids, self.lowest, float("inf"))
            self.asks.update(asks, 0.0, self.highest)


def bare(applied: set[int]) -> Books:
    """Decode every record, apply those that move a book: no times, no checks, no economics."""
    books: dict[str, BareBook] = {}
    with gzip.open(CAPTURE) as file:
        for offset, line in enumerate(file):
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if offset in applied:
                leg = f"{record['pair']} {record['venue']}:{record['market']}"
                books.setdefault(leg, BareBook()).apply(record)
    return {leg: {"bids": book.bids.sizes, "asks": book.asks.sizes} for leg, book in books.items()}


def moved() -> tuple[set[int], Books]:
    """Which records the engine lets move a book, and the books that it ends with."""
    engine, applied = PartitionEngine(EconomicSettings()), set()
    with gzip.open(CAPTURE) as file:
        for offset, line in enumerate(file):
            try:
                event = decode_record(line)
                engine.on_event(event, offset)
            except BadRecordError:
                continue
            state = engine.pairs.get(event.origin.pair)
            leg = state.engine.legs.get(f"{event.origin.venue}:{event.origin.market}") if state else None
            if leg is not None and leg.book.applied_id == event.origin.message_id:
                applied.add(offset)
    return applied, {
        f"{pair} {name}": {side: levels(getattr(leg.book.book, side).sizes) for side in ("bids", "asks")}
        for pair, state in engine.pairs.items()
        for name, leg in state.engine.legs.items()
        if leg.book.applied_id
    }


def levels(sizes: dict[int, int]) -> dict[float, float]:
    """The engine's exact levels as floats."""
    return {float(plain(price, DECIMALS)): float(plain(size, DECIMALS)) for price, size in sizes.items()}


def test_records_per_cpu_second_beside_the_bare_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole replay, files included, and a bare loop that decodes the same records and applies the same levels."""
    applied, expected = moved()

    began = time.process_time()
    found = bare(applied)
    bare_s = time.process_time() - began
    began = time.process_time()
    summary = run_job(Job(CAPTURE, 0, tmp_path / "out", EconomicSettings()), lambda _: None)
    replay_s = time.process_time() - began

    assert found == expected
    with capsys.disabled():
        count = sum(len(side) for book in found.values() for side in book.values())
        print(
            f"\nreplay {summary.records / replay_s:,.0f}, bare loop {summary.records / bare_s:,.0f} records per CPU "
            f"second: {replay_s / bare_s:.1f} times its work; {summary.records:,} records, {count:,} final levels equal"
        )


def repeated(records: int, told: list[int]) -> Iterator[bytes | Unreadable]:
    """The capture again and again, each time later, with this process's memory every so many records."""
    with gzip.open(CAPTURE) as file:
        lap = file.read().splitlines()
    times = [int(found[1]) for line in lap if (found := re.search(rb'"received_ns":(\d+)', line))]
    lasting_ns, process = max(times) - min(times) + 10**9, psutil.Process()
    for number in range(records):
        if number and number % TOLD_EVERY == 0:
            told.append(process.memory_info().rss)
            print(f"{number:>12,} records: {told[-1] / MIB:,.1f} MiB", flush=True)
        shift_ns = number // len(lap) * lasting_ns
        yield re.sub(
            rb'"received_ns":(\d+)',
            lambda found: b'"received_ns":%d' % (int(found[1]) + shift_ns),  # noqa: B023
            lap[number % len(lap)],
        )


@pytest.mark.timeout(7200)
def test_memory_stays_flat(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """However long a log, after the first fifth nothing more is kept."""
    told: list[int] = []
    with capsys.disabled():
        print()
        began = time.process_time()
        summary = run_lines(Job(CAPTURE, 0, tmp_path / "out", EconomicSettings()), repeated(RECORDS, told))
        rate = summary.records / (time.process_time() - began)
        print(f"{summary.records:,} records, {rate:,.0f} per CPU second, grown by {(told[-1] - told[1]) / MIB:.1f} MiB")

    assert told[-1] - told[1] < GROWTH_BYTES_MAX
