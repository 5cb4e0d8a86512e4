"""`python -m tests.benchmarks.product [--json] [--quick] [--only NAME]`: the whole worker against issue 6's bars.

One broker; every figure begins with empty topics and a worker of its own (`faust -A mts_stream.app worker`). Broker,
driver and readers are on the first core, the worker on the second. Exit code 1 where results differ or are lost.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from mts_stream.domain.engine import PartitionEngine
from mts_stream.kernels import kernel_in_use
from mts_stream.local.download_view import LineView
from mts_stream.settings import Settings, load_settings
from mts_stream.wire import topics
from mts_stream.wire.codec import encode_message, key_of, topic_of
from mts_stream.wire.kafka import Reader
from mts_stream.wire.reading import record_reader
from tests.benchmarks.same_job.ground import broker
from tests.benchmarks.worker.figures import Figure, quantile
from tests.integration.worker_parts import Sent, Worker, bare, caught_up, clean, end_offsets, read, until

WORKER_CORE, OTHERS_CORE = {1}, {0}
RECORDED_PER_S = 60  # what the recorded pair brings: event time runs as fast as it did
WARM_LINES = 60  # by then every book is valid
SLIP_MAX_MS = 5.0
DEADLINE_S = 400.0
MIB = 1 << 20


def tell(line: str) -> None:
    """Progress, to people."""
    print(line, file=sys.stderr, flush=True)


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and its children."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


class Bench:
    """The broker, and what every figure does on it."""

    def __init__(self, kafka: str, directory: Path, *, quick: bool) -> None:
        self.settings = load_settings(kafka_bootstrap_servers=kafka)
        self.directory, self.quick = directory, quick

    def worker(self, name: str = "") -> Worker:
        """A worker on its core."""
        worker = Worker(self.settings, self.directory, WORKER_INSTANCE_ID=name)
        os.sched_setaffinity(worker.process.pid, WORKER_CORE)
        return worker

    def driver(self, pairs: int, *rates: tuple[float, int], paced: bool) -> "subprocess.Popen[str]":
        """A log on its way."""
        text = ",".join(f"{rate}x{count}" for rate, count in rates)
        command = [sys.executable, "-m", "tests.benchmarks.worker.driving", f"--pairs={pairs}", f"--rates={text}",
                   f"--kafka={self.settings.kafka_bootstrap_servers}", *(["--paced"] if paced else [])]  # fmt: skip
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def drive(self, pairs: int, *rates: tuple[float, int], paced: bool = False) -> dict[str, Any]:
        """A log, until all of it is confirmed."""
        return drove(self.driver(pairs, *rates, paced=paced))

    def logged(self) -> int:
        """How many records the raw log has."""
        return sum(end_offsets(self.settings, topics.RAW).values())

    def handled(self, worker: Worker) -> int:
        """Return when all of the log is handled; gives how much that is."""
        logged = self.logged()
        until("all is handled", lambda: worker.metric("mts_records_total") >= logged, DEADLINE_S)
        return logged


def drove(driver: "subprocess.Popen[str]") -> dict[str, Any]:
    """What a driver has to say."""
    out, _ = driver.communicate(timeout=DEADLINE_S * 3)
    assert driver.returncode == 0, "the driver failed"
    said: dict[str, Any] = json.loads(out)
    assert not said["unconfirmed"], f"{said['unconfirmed']} records were not confirmed"
    return said


def slip_note(said: dict[str, Any]) -> str:
    """How late the driver was, and whether the run counts."""
    return f"driver's slip p99 {said['slip_p99_ms']:.1f} ms" + (": RUN VOID" if is_void(said) else "")


def is_void(said: dict[str, Any]) -> bool:
    """Whether the driver was too late for its run to count."""
    return bool(said["slip_p99_ms"] > SLIP_MAX_MS)


def in_process(settings: Settings) -> tuple[float, dict[tuple[str, str], list[str]]]:
    """CPU seconds and results of decoding, engine and encoding of the log as it stands, with no worker around."""
    kernel = kernel_in_use(settings.kernel)
    reader, engines = record_reader(kernel.name), {}
    records = sorted(read(settings, topics.RAW), key=lambda record: (record.partition, record.offset))
    sent: list[tuple[str, bytes | None, bytes]] = []
    began_s = time.process_time()
    for record in records:
        if record.partition not in engines:
            engines[record.partition] = PartitionEngine(settings.economics(), kernel)
        for message in engines[record.partition].on_event(reader(record.value), record.offset).messages:
            sent.append((topic_of(message), key_of(message), encode_message(message, time.time_ns())))
    took_s = time.process_time() - began_s
    results: dict[tuple[str, str], list[str]] = {}
    for topic, key, value in sent:
        results.setdefault((topic, (key or b"").decode()), []).append(bare(value))
    return took_s, results


def throughput(bench: Bench) -> list[Figure]:
    """The worker beside the engine alone, on the same log, in turn."""
    pairs, count = (100, 50_000) if bench.quick else (200, 200_000)
    ratios, rates = [], []
    for _ in range(1 if bench.quick else 3):
        clean(bench.settings)
        with bench.worker() as worker:
            worker.ready()
            before_s = cpu_s(worker.process.pid)
            bench.drive(pairs, (pairs * RECORDED_PER_S, count))
            logged = bench.handled(worker)
            worker_s = cpu_s(worker.process.pid) - before_s
            until("all is committed", lambda: caught_up(bench.settings))
        engine_s, expected = in_process(bench.settings)
        assert Sent.of(bench.settings).results == expected, "the worker's results are not the engine's"
        ratios.append(engine_s / worker_s)
        rates.append(logged / worker_s)
        tell(f"  worker {logged / worker_s:,.0f}/CPU s, in process {logged / engine_s:,.0f}/CPU s, results equal")
    return [
        Figure("worker / in process", median(ratios), "ratio", 0.5, at_least=True, note="messages per CPU second"),
        Figure("worker, messages per CPU second", median(rates), "1/s"),
    ]


def pairs_cost(bench: Bench) -> list[Figure]:
    """As many messages, each pair as fast: what 800 books cost beside ten. The first lines of each are not counted."""
    count = 40_000 if bench.quick else 160_000
    costs, shares = {}, {}
    for pairs in (10, 800):
        clean(bench.settings)
        with bench.worker() as worker:
            worker.ready()
            driver = bench.driver(pairs, (pairs * RECORDED_PER_S, pairs * WARM_LINES + count), paced=False)
            begun, before_s = _warm(worker, pairs * WARM_LINES), cpu_s(worker.process.pid)
            drove(driver)
            logged = bench.handled(worker)
            costs[pairs] = (cpu_s(worker.process.pid) - before_s) / (logged - begun) * 1e6
        shares[pairs] = sum(end_offsets(bench.settings, topics.SPREADS).values()) / logged
        tell(f"  {pairs} pairs: {costs[pairs]:.1f} us a message, {shares[pairs]:.3f} rows of windows a message")
    note = "; ".join(f"{pairs}: {costs[pairs]:.1f} us, {shares[pairs]:.3f} rows a message" for pairs in costs)
    return [Figure("cost per message, 800 pairs / 10 pairs", costs[800] / costs[10], "ratio", 1.3, note=note)]


def _warm(worker: Worker, records: int) -> float:
    """Return when so many records are handled; gives how many are."""
    until("books are valid", lambda: worker.metric("mts_records_total") >= records, DEADLINE_S)
    return worker.metric("mts_records_total")


def latency(bench: Bench) -> list[Figure]:
    """Raw append to signal append, the worker's beside the loop's, on the same schedule."""
    rate, seconds, pairs = 10_000, (10 if bench.quick else 30), 100
    measured, note, void = {}, "", False
    for name in ("confluent loop", "worker"):
        clean(bench.settings)
        if name == "worker":
            with bench.worker() as worker:
                worker.ready()
                said = bench.drive(pairs, (rate, rate * seconds), paced=True)
                bench.handled(worker)
                until("all is committed", lambda: caught_up(bench.settings))
        else:
            said = _loop(bench, pairs, rate, seconds)
        note, void = slip_note(said), void or is_void(said)
        since_ns = said["begin_ns"] + 3 * 10**9
        measured[name] = {topic: _waits(bench.settings, topic, since_ns) for topic in (topics.SIGNALS, topics.SPREADS)}
        tell(f"  {name}: {len(measured[name][topics.SIGNALS])} signals, {note}")
    figures = []
    for topic, what in ((topics.SIGNALS, "signals"), (topics.SPREADS, "rows of windows")):
        for share in (0.5, 0.99):
            ours, theirs = (quantile(measured[name][topic], share) for name in ("worker", "confluent loop"))
            label, bar = f"latency of {what}, p{share * 100:.0f}", 2.0 if topic == topics.SIGNALS else None
            both = f"{ours:.0f} ms, loop {theirs:.0f} ms (broker's ms); {note}"
            figures.append(
                Figure(f"{label}, worker / loop", max(ours, 1.0) / max(theirs, 1.0), "ratio", bar, note=both)
            )
    return figures


def _loop(bench: Bench, pairs: int, rate: int, seconds: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.worker.loop", "--kafka", bench.settings.kafka_bootstrap_servers]
    loop = subprocess.Popen(command)
    os.sched_setaffinity(loop.pid, WORKER_CORE)
    try:
        time.sleep(5)  # it joins its group; the first seconds are not counted
        said = bench.drive(pairs, (rate, rate * seconds), paced=True)
        ends = [0, -1]
        while ends[-1] != ends[-2]:
            time.sleep(1)
            ends.append(sum(end_offsets(bench.settings, topics.SPREADS).values()))
        return said
    finally:
        loop.terminate()
        loop.wait(30)


def _waits(settings: Settings, topic: str, since_ns: int) -> list[float]:
    """Milliseconds from the append of a record to that of each result; a row's record is the first after its second."""
    times: dict[str, list[tuple[int, int]]] = {}
    with Reader(settings, (topics.RAW,)) as reader:
        for record in reader.read_to_end():
            value = record.value or b""
            received_ns = int(value[value.rindex(b'"received_ns":') + 14 :].split(b",")[0].rstrip(b"}"))
            times.setdefault((record.key or b"").decode(), []).append((received_ns, record.timestamp_ms))
    appended = {pair: dict(found) for pair, found in times.items()}
    everywhere = sorted(times.get("", []))
    waits = []
    for record in read(settings, topic):
        pair, message = (record.key or b"").decode(), json.loads(record.value or b"")
        if topic == topics.SIGNALS:
            at_ns = message["event_time_ns"]
            at_ms = appended[pair].get(at_ns) or appended.get("", {}).get(at_ns)
        else:
            at_ns = message["window_start_ns"] + 10**9
            after = [ms for ns, ms in (*everywhere, *times[pair]) if 0 <= ns - at_ns < 10**9]
            at_ms = min(after, default=None)
        if at_ms is not None and at_ns >= since_ns:
            waits.append(float(record.timestamp_ms - at_ms))
    return waits


def burst(bench: Bench) -> list[Figure]:
    """Five times the steady rate for a minute: nothing lost, order kept, and how long it takes to drain."""
    steady_s, burst_s = (5, 10) if bench.quick else (20, 60)
    clean(bench.settings)
    with bench.worker() as worker:
        worker.ready()
        said = bench.drive(800, (8_000, 8_000 * steady_s), (40_000, 40_000 * burst_s), paced=True)
        ended_s = time.monotonic()
        logged = bench.handled(worker)
        drained_s = time.monotonic() - ended_s
        lost = said["sent"] - logged + abs(worker.metric("mts_records_total") - logged)
        until("all is committed", lambda: caught_up(bench.settings))
    note = f"{logged:,} records, {burst_s} s of burst, {slip_note(said)}"
    return [
        Figure("burst of 40,000/s: drained after its end", drained_s, "s", 30.0, note=note, is_void=is_void(said)),
        Figure("burst: records lost", lost, "records", 0.0),
        Figure("burst: results out of order", out_of_order(bench.settings), "results", 0.0, note="rows of a direction"),
    ]


def out_of_order(settings: Settings) -> int:
    """Rows that do not come after the row before them, of the same pair and direction."""
    last: dict[tuple[str, str], int] = {}
    wrong = 0
    for record in sorted(read(settings, topics.SPREADS), key=lambda record: (record.partition, record.offset)):
        row = json.loads(record.value or b"")
        name = row["pair"], row["direction"]
        wrong += row["window_start_ns"] <= last.get(name, 0)
        last[name] = row["window_start_ns"]
    return wrong


def kill(bench: Bench) -> list[Figure]:
    """kill -9 under load, started again at once under its name."""
    steady_s, after_s = (20, 40) if bench.quick else (40, 60)
    clean(bench.settings)
    driver = bench.driver(800, (8_000, 8_000 * (steady_s + after_s)), paced=True)
    try:
        with bench.worker("bench") as worker:
            worker.ready()
            time.sleep(steady_s)
            worker.process.kill()
            worker.process.wait(10)
        killed_s, before = time.monotonic(), _results(bench.settings)
        with bench.worker("bench") as again:
            until("a new result", lambda: _results(bench.settings) > before)
            first_s = time.monotonic() - killed_s
            until("it has caught up", lambda: _lag_s(again) < 1.0)
            caught_s = time.monotonic() - killed_s
            said = drove(driver)
            until("all is committed", lambda: caught_up(bench.settings), DEADLINE_S)
    finally:
        driver.kill()
        driver.wait()
    note = slip_note(said)
    return [
        Figure("kill -9, 800 pairs: first new result", first_s, "s", 10.0, note=note, is_void=is_void(said)),
        Figure(
            "kill -9, 800 pairs: caught up",
            caught_s,
            "s",
            20.0,
            note="less than 1 s behind event time",
            is_void=is_void(said),
        ),
    ]


def _results(settings: Settings) -> int:
    return sum(sum(end_offsets(settings, topic).values()) for topic in (topics.SIGNALS, topics.SPREADS))


def _lag_s(worker: Worker) -> float:
    status, body = worker.get("/health")
    return float(json.loads(body)["lag_s"]) if status == 200 else float("inf")


def memory(bench: Bench) -> list[Figure]:
    """Resident memory of 800 pairs at 8,000 messages a second, and whether it grows."""
    seconds = 120 if bench.quick else 600
    clean(bench.settings)
    sizes: list[int] = []
    with bench.worker() as worker:
        worker.ready()
        driver = bench.driver(800, (8_000, 8_000 * seconds), paced=True)
        while driver.poll() is None:
            sizes.append(psutil.Process(worker.process.pid).memory_info().rss)
            if len(sizes) % 30 == 0:
                tell(f"  {len(sizes)} s: {sizes[-1] / MIB:,.0f} MiB")
            time.sleep(1)
        said = drove(driver)
    half, quarter = len(sizes) // 2, len(sizes) // 4
    growth = median(sizes[-quarter:]) / median(sizes[half - quarter : half])
    return [
        Figure("memory, 800 pairs", max(sizes) / MIB, "MiB", 1024.0, note=f"{len(sizes)} s, {slip_note(said)}"),
        Figure("memory: last quarter / second quarter", growth, "ratio", 1.05),
    ]


FIGURES: dict[str, Callable[[Bench], list[Figure]]] = {
    "throughput": throughput, "pairs": pairs_cost, "latency": latency, "burst": burst, "kill": kill, "memory": memory,
}  # fmt: skip


def main() -> int:
    """Measure and show."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.product", description=__doc__)
    parser.add_argument("--json", action="store_true", help="the figures as one JSON list on stdout")
    parser.add_argument("--quick", action="store_true", help="shorter runs: to see it work")
    parser.add_argument("--only", choices=FIGURES, action="append", help="may be given several times")
    given = parser.parse_args()
    os.sched_setaffinity(0, OTHERS_CORE)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="product-") as made, broker(Path(made), LineView(tell)) as kafka:
        for name in given.only or FIGURES:
            tell(f"{name} ...")
            figures += FIGURES[name](Bench(kafka, Path(made), quick=given.quick))
    rows = [figure.row() for figure in figures]
    print(json.dumps(rows) if given.json else "\n".join(figure.line() for figure in figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
