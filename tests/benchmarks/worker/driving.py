"""`python -m tests.benchmarks.worker.driving`: a raw log into Kafka, on its schedule or as fast as it goes.

All records are rendered before the first is due, so that sending is nothing but `produce`. Open loop: what is due is
sent, however late, and nothing is skipped. Two JSON lines: when it begins and ends by its schedule, as soon as the
records stand; then what became of it: how late they were handed to the producer (`slip_p99_ms`) and the last confirmed
(`confirmed_after_s`, of its schedule's end), for a reader to judge whether the run counts.
"""

import argparse
import gc
import sys
import time
from array import array
from collections.abc import Iterator
from typing import Any

import orjson
from confluent_kafka import Producer

from mts_stream.settings import load_settings
from mts_stream.wire import topics
from mts_stream.wire.kafka import producer_config
from tests.benchmarks.worker.figures import quantile
from tests.benchmarks.worker.raw_log import NS_PER_S, Due, log, templates

NAP_S = 0.0005
SLIP_EVERY = 7  # of so many records one's slip is kept
QUEUED_MAX, QUEUED_KIB_MAX = 2_000_000, 2_000_000
UNPACED_QUEUED_MAX = 50_000  # without a schedule: enough to keep the broker busy
FLUSH_S = 120.0
SAMPLE_PAIRS = 10
RENDER_TRIES = 3
RENDER_SHARE, RENDER_MORE_S = 1.5, 1.0  # times what these pairs' records say, and so much more


class Rendered:
    """A log in memory: when each record is due, its key and value; those without a key go to every partition."""

    def __init__(self, records: Iterator[Due]) -> None:
        self.due_ns = array("q")
        self.keys: list[bytes | None] = []
        self.values: list[bytes] = []
        keys: dict[bytes | None, bytes | None] = {}
        for after_ns, key, value in records:
            self.due_ns.append(after_ns)
            self.keys.append(keys.setdefault(key, key))
            self.values.append(value)

    def __len__(self) -> int:
        return len(self.values)


def rendering_s(pairs: int, rates: list[tuple[float, int]]) -> float:
    """How long it may take to render a log, by all that some of its pairs have."""
    count = sum(count for _, count in rates)
    templates()  # read once
    began_s = time.perf_counter()
    some = Rendered(log(SAMPLE_PAIRS, 0, [(rates[0][0], SAMPLE_PAIRS * (count // pairs + 1))]))
    return (time.perf_counter() - began_s) / len(some) * count * RENDER_SHARE + RENDER_MORE_S


def rendered(
    pairs: int, rates: list[tuple[float, int]], *, paced: bool, lines_max: int | None = None
) -> tuple[Rendered, int]:
    """A log and its first record's time: with a schedule one that is not over before all is rendered."""
    expected_s = rendering_s(pairs, rates) if paced else 0.0
    for _ in range(RENDER_TRIES):
        began_ns = time.time_ns()
        begin_ns = began_ns + round(expected_s * NS_PER_S)
        records = Rendered(log(pairs, begin_ns, rates, lines_max))
        if not paced or time.time_ns() < begin_ns:
            return records, begin_ns
        expected_s = (time.time_ns() - began_ns) / NS_PER_S * RENDER_SHARE + RENDER_MORE_S
    raise RuntimeError(f"the records could not be rendered in {expected_s:.0f} s: other work takes the machine")


class Driver:
    """Sends a rendered log."""

    def __init__(self, kafka: str, records: Rendered, begin_ns: int) -> None:
        settings = load_settings(kafka_bootstrap_servers=kafka)
        options = {"queue.buffering.max.messages": QUEUED_MAX, "queue.buffering.max.kbytes": QUEUED_KIB_MAX,
                   "delivery.report.only.error": True}  # fmt: skip
        self._producer = Producer(producer_config(settings, **options))
        self._everywhere = range(settings.partitions)
        self._records, self._begin_ns = records, begin_ns
        self._slips_ms: list[float] = []
        self._sent = self._refused = 0

    def run(self, *, paced: bool) -> dict[str, Any]:
        """Send all; gives what became of it."""
        if paced:
            self._send_paced()
        else:
            self._send_unpaced()
        unconfirmed = self._producer.flush(FLUSH_S)
        after_s = (time.time_ns() - self._begin_ns - self._records.due_ns[-1]) / NS_PER_S
        slip_ms = quantile(self._slips_ms, 0.99) if self._slips_ms else 0.0
        return {"sent": self._sent, "unconfirmed": unconfirmed + self._refused, "slip_p99_ms": slip_ms,
                "confirmed_after_s": after_s if paced else 0.0}  # fmt: skip

    def _send_paced(self) -> None:
        records, number, count = self._records, 0, len(self._records)
        due_ns, begin_ns, slips_ms = records.due_ns, self._begin_ns, self._slips_ms
        while number < count:
            now_ns = time.time_ns() - begin_ns
            if due_ns[number] > now_ns:
                self._producer.poll(0)
                time.sleep(min(NAP_S, (due_ns[number] - now_ns) / NS_PER_S))
                continue
            while number < count and due_ns[number] <= now_ns:
                self._send(number)
                if number % SLIP_EVERY == 0:
                    slips_ms.append((time.time_ns() - begin_ns - due_ns[number]) / 1e6)
                number += 1

    def _send_unpaced(self) -> None:
        for number in range(len(self._records)):
            self._send(number)
            while len(self._producer) > UNPACED_QUEUED_MAX:
                self._producer.poll(0.01)

    def _send(self, number: int) -> None:
        key, value = self._records.keys[number], self._records.values[number]
        for partition in (-1,) if key else self._everywhere:
            self._producer.produce(topics.RAW, value, key, partition, on_delivery=self._on_delivery)
            self._sent += 1

    def _on_delivery(self, error: Any, _: Any) -> None:
        self._refused += error is not None


def main() -> None:
    """Render, tell when it begins, send, tell what became of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--pairs", type=int, required=True)
    parser.add_argument(
        "--rates", required=True, help="records a second and how many of them: 8000x480000,40000x2400000"
    )
    parser.add_argument("--paced", action="store_true")
    parser.add_argument("--lines", type=int, help="of a pair, then its recording begins again")
    given = parser.parse_args()
    rates = [(float(rate), int(count)) for rate, _, count in (r.partition("x") for r in given.rates.split(","))]
    gc.disable()  # millions of objects that stay
    records, begin_ns = rendered(given.pairs, rates, paced=given.paced, lines_max=given.lines)
    _tell({"begin_ns": begin_ns, "end_ns": begin_ns + records.due_ns[-1]})
    _tell(Driver(given.kafka, records, begin_ns).run(paced=given.paced))


def _tell(line: dict[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
