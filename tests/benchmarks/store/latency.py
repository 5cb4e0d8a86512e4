"""How long a result takes from its append to its topic, by the broker's clock, to a row that a query sees.

A reader asks every 100 ms for the highest offset of each partition that stands in the table: the sink stores a
partition in order, so all up to there can be seen. What is measured contains the reader's own round; it is one clock.
"""

import threading
import time
from collections.abc import Iterator
from itertools import count as numbers

from confluent_kafka import Producer

from mts_stream.settings import Settings
from mts_stream.wire import topics
from mts_stream.wire.kafka import Reader, producer_config
from tests.benchmarks.store.ground import Bench, ready
from tests.benchmarks.store.results import NS_PER_MS, NS_PER_S, Made, signals, spreads
from tests.benchmarks.worker.figures import Figure, quantile
from tests.clickhouse.asking import ask
from tests.integration.sink_parts import clean, until

RATE = 1_000  # results a second: a fifth signals, which are three rows each, the rest windows
SIGNALS_OF_FIVE = 1
ASK_S = 0.1
NAP_S = 0.005  # of the driver, which must not take a core from what it measures
SETTLED_S = 3
BAR_P99_S = 2.0
SLIP_MAX_MS = 50.0
TABLES = {topics.SIGNALS: "signals", topics.SPREADS: "spreads_1s"}
Seen = dict[int, list[tuple[int, float]]]  # by partition: up to which offset, and since when in ms


class Paced:
    """Sends results at their rate until told to stop."""

    def __init__(self, settings: Settings, rate: int, seconds: int) -> None:
        self._producer = Producer(producer_config(settings))
        self._made = [record for _, record in zip(range(rate * seconds), _mixed(rate), strict=False)]
        self._rate = rate
        self.slips_ms: list[float] = []

    def run(self) -> None:
        """Open loop: what is due is sent, however late."""
        begin_s = time.monotonic()
        for number, record in enumerate(self._made):
            due_s = begin_s + number / self._rate
            while (left_s := due_s - time.monotonic()) > 0:
                self._producer.poll(0)  # what it waits itself is whole milliseconds: less would be a loop without rest
                time.sleep(max(left_s, NAP_S))
            self.slips_ms.append(-left_s * 1e3)
            self._producer.produce(record.topic, record.value, record.key)
        left = self._producer.flush(60)
        assert not left, f"{left} results were not confirmed"


def _mixed(rate: int) -> Iterator[Made]:
    begin_ns = time.time_ns() - 3600 * NS_PER_S
    found, windows = signals(2**40, begin_ns, every_ns=5_000 * NS_PER_MS // rate), spreads(2**40, begin_ns)
    for number in numbers():
        yield next(found) if number % 5 < SIGNALS_OF_FIVE else next(windows)


class Watcher(threading.Thread):
    """Asks what can be seen, until it is told that all is sent and sees all."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self._settings = settings
        self.seen: dict[str, Seen] = {topic: {} for topic in TABLES}
        self.stop = threading.Event()

    def run(self) -> None:
        """One question at a time."""
        while not self.stop.is_set():
            for topic, table in TABLES.items():
                self._ask(self.seen[topic], table)
            time.sleep(ASK_S)

    def _ask(self, seen: Seen, table: str) -> None:
        sql = f"SELECT source_partition, max(source_offset) FROM {table} GROUP BY source_partition"
        answer = ask(self._settings.clickhouse_url, sql, self._settings.clickhouse_database, "mts_reader")
        at_ms = time.time_ns() / NS_PER_MS
        for line in answer.splitlines():
            partition, offset = map(int, line.split("\t"))
            known = seen.setdefault(partition, [])
            if not known or known[-1][0] < offset:
                known.append((offset, at_ms))


def latency(bench: Bench) -> list[Figure]:
    """At 1,000 results a second, with the default batches."""
    seconds = 20 if bench.quick else 60
    settings = bench.settings()
    clean(settings)
    paced, watcher = Paced(settings, RATE, seconds), Watcher(settings)
    with ready(bench.sink(settings)):
        watcher.start()
        paced.run()
        until("all can be seen", lambda: _ends(settings) == _seen_ends(watcher))
        watcher.stop.set()
        watcher.join()
    waits = {topic: _waits(settings, topic, watcher.seen[topic]) for topic in TABLES}
    bench.drop(settings)
    slip_ms = quantile(paced.slips_ms, 0.99)
    late = f"driver late by {slip_ms:.1f} ms (p99)"
    return [
        Figure(f"{TABLES[topic]}: from topic to query, p{share * 100:g}", quantile(waits[topic], share) / 1e3, "s",
               BAR_P99_S if share == 0.99 else None, note=f"{len(waits[topic]):,} results, {late}",
               is_void=slip_ms > SLIP_MAX_MS)
        for topic in TABLES for share in (0.5, 0.99, 1.0)
    ]  # fmt: skip


def _ends(settings: Settings) -> dict[tuple[str, int], int]:
    with Reader(settings, tuple(TABLES)) as reader:
        return {key: end - 1 for key, end in reader.end_offsets().items() if end}


def _seen_ends(watcher: Watcher) -> dict[tuple[str, int], int]:
    return {(topic, number): known[-1][0] for topic, seen in watcher.seen.items() for number, known in seen.items()}


def _waits(settings: Settings, topic: str, seen: Seen) -> list[float]:
    """Milliseconds, of all results after the first seconds."""
    found, places = [], dict.fromkeys(seen, 0)
    with Reader(settings, (topic,)) as reader:
        records = sorted(reader.read_to_end(), key=lambda record: (record.partition, record.offset))
    settled_ms = min(record.timestamp_ms for record in records) + SETTLED_S * 1000
    for record in records:
        known = seen[record.partition]
        while known[places[record.partition]][0] < record.offset:
            places[record.partition] += 1
        if record.timestamp_ms >= settled_ms:
            found.append(known[places[record.partition]][1] - record.timestamp_ms)
    return found
