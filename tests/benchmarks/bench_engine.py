"""How fast one partition's engine is, without Kafka: `make measure`. It measures and never fails for being slow.

Decode, engine and encode, as the worker does them, in batches; figures are per second of CPU time, best of some rounds
in which the kernels take turns. What comes out must be the same, whatever the kernel.
"""

import gzip
import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest

from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.kernel import Kernel
from mts_stream.errors import BadRecordError
from mts_stream.settings import load_settings
from mts_stream.wire.codec import encode_message
from mts_stream.wire.reading import record_reader
from tests.benchmarks.many_pairs import BEGUN, in_turn, recorded
from tests.domain.kernels import NAMES, built

CAPTURES = Path(__file__).parents[1] / "data" / "conformance"
ROUNDS = 3
BATCH = 500
PAIRS, FEW, LINES = 800, 10, 60


@dataclass
class Run:
    """What an engine took and said."""

    records: int = 0
    cpu_s: float = 0.0
    results: int = 0
    digest: str = ""

    @property
    def records_per_cpu_s(self) -> float:
        """The figure."""
        return self.records / self.cpu_s


def records(name: str) -> list[bytes]:
    """A capture's records."""
    with gzip.open(CAPTURES / f"{name}.jsonl.gz") as file:
        return [line.rstrip(b"\n") for line in file if line.strip()]


def worked_off(engine: PartitionEngine, values: Iterable[bytes], begun: int = 0) -> Run:
    """Batch by batch, each made before the clock runs, as a fetch makes it."""
    run, digest, offset = Run(), hashlib.sha256(), begun
    rest: Iterator[bytes] = iter(values)
    read = record_reader(engine.kernel.name)
    while batch := list(islice(rest, BATCH)):
        out: list[bytes] = []
        began = time.process_time()
        for value in batch:
            with suppress(BadRecordError):  # a dead letter; the captures have some
                out += [encode_message(message) for message in engine.on_event(read(value), offset).messages]
            offset += 1
        run.cpu_s += time.process_time() - began
        run.results += len(out)
        digest.update(b"\n".join(out))
    run.records, run.digest = offset - begun, digest.hexdigest()
    return run


def show(capsys: pytest.CaptureFixture[str], *lines: str) -> None:
    """Past pytest's capture."""
    with capsys.disabled():
        print(*("", *lines), sep="\n")


@pytest.mark.parametrize("name", ["btc", "random-a"])
def test_records_per_cpu_second(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The conformance captures, every kernel in its turn: equal results, and how fast."""
    values, economics = records(name), load_settings().economics()
    runs: dict[str, list[Run]] = {kernel_name: [] for kernel_name in NAMES}
    for _ in range(ROUNDS):
        for kernel_name, done in runs.items():
            done.append(worked_off(PartitionEngine(economics, built(kernel_name)), values))

    best = {kernel_name: max(run.records_per_cpu_s for run in done) for kernel_name, done in runs.items()}
    assert len({run.digest for done in runs.values() for run in done}) == 1
    results = runs["python"][0].results
    show(capsys, f"{name}: {len(values):,} records, {results:,} results, records per CPU second:",
         *(f"  {kernel_name:9} {rate:9,.0f}" for kernel_name, rate in best.items()))  # fmt: skip


@pytest.mark.parametrize("kernel_name", NAMES)
@pytest.mark.parametrize("slippage_bps", [1, 300], ids=["edges", "no-edges"])
def test_800_pairs_cost_hardly_more_than_10(
    kernel_name: str, slippage_bps: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same records of the same pairs, all in turn or ten by ten: only what the cache holds is another."""
    of, lines = built(kernel_name), recorded(BEGUN + LINES)
    economics = load_settings(slippage_bps=slippage_bps).economics()
    many = few = 1.0
    for _ in range(ROUNDS):
        many = min(many, _cost(of, economics, lines, [range(PAIRS)]))
        few = min(few, _cost(of, economics, lines, [range(n, n + FEW) for n in range(0, PAIRS, FEW)]))

    show(capsys, f"{kernel_name}, {PAIRS} pairs {many * 1e6:.2f} us a record, {FEW} pairs {few * 1e6:.2f}:"
         f" {many / few:.2f} (the bar, of the whole worker, is 1.3)")  # fmt: skip


def _cost(of: Kernel, economics: object, lines: list[bytes], groups: list[range]) -> float:
    runs = []
    for pairs in groups:
        engine = PartitionEngine(economics, of)  # type: ignore[arg-type]
        begun = worked_off(engine, in_turn(lines[:BEGUN], pairs)).records
        runs.append(worked_off(engine, in_turn(lines[BEGUN:], pairs), begun))
    return sum(run.cpu_s for run in runs) / sum(run.records for run in runs)
