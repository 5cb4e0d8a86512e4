"""`python -m tests.benchmarks.worker.loop`: the product's engine in a loop by hand on confluent-kafka, until SIGTERM.

No checkpoints, no commits, no metrics: what a worker's latency is compared with.
"""

import argparse
import signal
import time
from typing import Any

from confluent_kafka import Consumer, Producer

from mts_stream.domain.engine import PartitionEngine
from mts_stream.kernels import kernel_in_use
from mts_stream.settings import load_settings
from mts_stream.wire import topics
from mts_stream.wire.codec import encode_message, headers_of, key_of, topic_of
from mts_stream.wire.kafka import client_config, producer_config
from mts_stream.wire.reading import record_reader

BATCH = 500
WAIT_S = 0.05


def run(kafka: str) -> None:
    """Poll, then drain; a result goes to its record's partition, as the worker's."""
    settings = load_settings(kafka_bootstrap_servers=kafka)
    kernel = kernel_in_use(settings.kernel)
    read, engines = record_reader(kernel.name), {}
    consumer = Consumer(
        client_config(
            settings, **{"group.id": "bench-loop", "auto.offset.reset": "earliest", "enable.auto.commit": False,
                         "fetch.wait.max.ms": 10}
        )
    )  # fmt: skip
    producer = Producer(producer_config(settings, **{"linger.ms": 0}))
    consumer.subscribe([topics.RAW], on_assign=lambda *_: print("assigned", flush=True))
    ended: list[Any] = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
    while not ended:
        for record in consumer.consume(BATCH, 0) or consumer.consume(1, WAIT_S):
            number = record.partition()
            if number not in engines:
                engines[number] = PartitionEngine(settings.economics(), kernel)
            for message in engines[number].on_event(read(record.value()), record.offset()).messages:
                value = encode_message(message, time.time_ns())
                producer.produce(topic_of(message), value, key_of(message), number, headers=headers_of(message))
        producer.poll(0)
    producer.flush()
    consumer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kafka", required=True)
    run(parser.parse_args().kafka)
