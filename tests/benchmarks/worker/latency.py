"""How long a result takes, from the raw record's append to its own by the broker's clock; a loop by hand beside it."""

import os
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from mts_stream.settings import Settings
from mts_stream.wire import topics
from mts_stream.wire.kafka import Reader
from tests.benchmarks.worker.bench import DEADLINE_S, NS_PER_S, WORKER_CORE, Bench, Drove, tell
from tests.benchmarks.worker.figures import Figure, quantile
from tests.integration.worker_parts import end_offsets, until

PAIRS, RATE = 100, 10_000
SETTLED_S = 3  # the books' beginning is not counted
QUIET_S = 1.0
AIM_P99_MS, BEHIND_MS = 10.0, 500.0
LOOP, WORKER = "confluent loop", "worker"
LEAST_MS = 1.0  # the clock's step: less is not known
SIGNALS, WINDOWS = "signals", "rows and signals of a window's end"


class Result(msgspec.Struct):
    """What of a signal or a row tells which record it came from."""

    event_time_ns: int = 0
    window_start_ns: int = 0

    @property
    def is_row(self) -> bool:
        """Of a window, which the first record after its end closes."""
        return self.window_start_ns > 0


class Appended:
    """When the records of one pair, or the status records of one partition, were appended, by their own time."""

    def __init__(self) -> None:
        self.received_ns: list[int] = []
        self.appended_ms: list[int] = []

    def first_since(self, at_ns: int) -> tuple[int, int] | None:
        """The first record at or after a time: its time, and its append."""
        index = bisect_left(self.received_ns, at_ns)
        return (self.received_ns[index], self.appended_ms[index]) if index < len(self.received_ns) else None


def latency(bench: Bench) -> list[Figure]:
    """Signals of 100 pairs at 10,000 messages a second against the bar; rows, which all close on the second, apart."""
    seconds = 10 if bench.quick else 30
    measured, drives = {}, {}
    for name, running in ((LOOP, _loop), (WORKER, _worker)):
        bench.clean()
        with running(bench), bench.load(PAIRS, (RATE, RATE * seconds), paced=True) as load:
            drove = drives[name] = load.drove()
            _wait_for_quiet(bench.settings)
        measured[name] = waits(bench.settings, load.begin_ns + SETTLED_S * NS_PER_S)
        tell(f"  {name}: {_quantiles(measured[name][SIGNALS])} of {len(measured[name][SIGNALS]):,} "
             f"signals; rows {_quantiles(measured[name][WINDOWS])}; {drove.note}")  # fmt: skip
    return list(_figures(measured, drives))


def _quantiles(waits_ms: list[float]) -> str:
    return ", ".join(f"p{share * 100:g} {quantile(waits_ms, share):.0f} ms" for share in (0.5, 0.9, 0.99, 1.0))


def _figures(measured: dict[str, dict[str, list[float]]], drives: dict[str, Drove]) -> Iterator[Figure]:
    is_behind = quantile(measured[LOOP][SIGNALS], 0.99) > BEHIND_MS
    is_void = is_behind or any(drove.is_void for drove in drives.values())
    note = "; ".join(f"{name}: {drove.note}" for name, drove in drives.items())
    note += "; THE LOOP COULD NOT CARRY IT: RUN VOID" if is_behind else ""
    for what in (SIGNALS, WINDOWS):
        is_signal = what == SIGNALS
        for share in (0.5, 0.99):
            ours, theirs = (quantile(measured[name][what], share) for name in (WORKER, LOOP))
            name = f"latency of {what}, p{share * 100:.0f}"
            ratio, both = max(ours, LEAST_MS) / max(theirs, LEAST_MS), f"{ours:.0f} ms, the loop's {theirs:.0f} ms"
            yield Figure(f"{name}, worker / loop", ratio, "ratio", 2.0 if is_signal else None, note=both,
                         is_void=is_void)  # fmt: skip
            if is_signal and share > 0.5:
                yield Figure(f"{name}, the aim", ours, "ms", AIM_P99_MS, note=note, is_void=is_void)


@contextmanager
def _worker(bench: Bench) -> Iterator[None]:
    with bench.worker() as worker:
        yield worker.ready() and None


@contextmanager
def _loop(bench: Bench) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.benchmarks.worker.loop", "--kafka", bench.settings.kafka_bootstrap_servers]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as loop:
        try:
            os.sched_setaffinity(loop.pid, WORKER_CORE)
            assert loop.stdout is not None and loop.stdout.readline(), "the loop has no partitions"
            yield
        finally:
            loop.terminate()


def _wait_for_quiet(settings: Settings) -> None:
    ends: list[int] = []

    def is_quiet() -> bool:
        ends.append(sum(end_offsets(settings, topics.SPREADS).values()))
        return ends[-1:] == ends[-2:-1]

    until("no more rows come", is_quiet, DEADLINE_S, QUIET_S)


def waits(settings: Settings, since_ns: int) -> dict[str, list[float]]:
    """Milliseconds from the append of a record since then to that of each result, by what it is."""
    of_pair, of_partition = _appended(settings)
    found: dict[str, list[float]] = {SIGNALS: [], WINDOWS: []}
    decoder = msgspec.json.Decoder(Result)
    with Reader(settings, (topics.SIGNALS, topics.SPREADS)) as reader:
        for record in reader.read_to_end():
            result = decoder.decode(record.value or b"")
            at_ns = result.window_start_ns + NS_PER_S if result.is_row else result.event_time_ns
            sources = of_pair[record.key or b""], of_partition[record.partition]
            firsts = [first for source in sources if (first := source.first_since(at_ns)) is not None]
            if firsts and at_ns >= since_ns:
                received_ns, appended_ms = min(firsts)
                what = SIGNALS if received_ns == at_ns and not result.is_row else WINDOWS
                found[what].append(float(record.timestamp_ms - appended_ms))
    return found


def _appended(settings: Settings) -> tuple[dict[bytes, Appended], dict[int, Appended]]:
    of_pair: dict[bytes, Appended] = {}
    of_partition = {partition: Appended() for partition in range(settings.partitions)}
    with Reader(settings, (topics.RAW,)) as reader:
        for record in reader.read_to_end():
            value = record.value or b""
            received_ns = int(value[value.rindex(b'"received_ns":') + 14 :].split(b",")[0].rstrip(b"}"))
            place = of_pair.setdefault(record.key, Appended()) if record.key else of_partition[record.partition]
            place.received_ns.append(received_ns)
            place.appended_ms.append(record.timestamp_ms)
    return of_pair, of_partition
