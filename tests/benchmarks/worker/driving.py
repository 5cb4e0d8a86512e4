"""`python -m tests.benchmarks.worker.driving`: a raw log into Kafka, on its schedule or as fast as it goes.

Open loop: what is due is sent, however late, and nothing is skipped; the JSON line says how late the records were
handed to the producer (`slip_p99_ms`), for a reader to judge whether the run counts.
"""

import argparse
import sys
import time

import orjson
from confluent_kafka import Producer

from mts_stream.settings import load_settings
from mts_stream.wire import topics
from mts_stream.wire.kafka import producer_config
from tests.benchmarks.worker.figures import quantile
from tests.benchmarks.worker.raw_log import log

NAP_S = 0.0005
ROOM = 2_000_000
FLUSH_S = 120.0


def drive(kafka: str, pairs: int, rates: list[tuple[float, int]], *, paced: bool, begin_ns: int) -> dict[str, float]:
    """Send the whole log."""
    settings = load_settings(kafka_bootstrap_servers=kafka)
    options = {"queue.buffering.max.messages": ROOM, "queue.buffering.max.kbytes": 1_000_000, "linger.ms": 1}
    producer = Producer(producer_config(settings, **options))
    slips, sent, records = [], 0, log(pairs, begin_ns, rates)
    for number, (after_ns, key, value) in enumerate(records):
        while paced and (wait_ns := begin_ns + after_ns - time.time_ns()) > 0:
            producer.poll(0)
            time.sleep(min(NAP_S, wait_ns / 1e9))
        for partition in (-1,) if key else range(settings.partitions):
            producer.produce(topics.RAW, value, key, partition)
            sent += 1
        if paced and number % 7 == 0:
            slips.append((time.time_ns() - begin_ns - after_ns) / 1e6)
        if not paced and number % 1000 == 0:
            producer.poll(0)
            while len(producer) > ROOM // 20:
                producer.poll(0.01)
    unconfirmed = producer.flush(FLUSH_S)
    slip_ms = quantile(slips, 0.99) if slips else 0.0
    return {"sent": sent, "unconfirmed": unconfirmed, "slip_p99_ms": slip_ms, "begin_ns": begin_ns}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--pairs", type=int, required=True)
    parser.add_argument(
        "--rates", required=True, help="records a second and how many of them: 8000x480000,40000x2400000"
    )
    parser.add_argument("--paced", action="store_true")
    given = parser.parse_args()
    wanted = [(float(rate), int(count)) for rate, _, count in (r.partition("x") for r in given.rates.split(","))]
    begin = time.time_ns() + 200_000_000
    line = drive(given.kafka, given.pairs, wanted, paced=given.paced, begin_ns=begin)
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
