"""By hand, on aiokafka: getmany, and a send for each result."""

import asyncio

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.benchmarks.same_job.engines.running import (
    ACKS,
    BATCH,
    COMPRESSION,
    LINGER_MS,
    Meter,
    Options,
    job_of,
    main,
)

WAIT_MS = 20


async def _run(given: Options, meter: Meter) -> None:
    consumer = AIOKafkaConsumer(
        given.topic, bootstrap_servers=given.kafka, group_id=given.group, auto_offset_reset="earliest",
        enable_auto_commit=False, fetch_max_wait_ms=10,
    )  # fmt: skip
    producer = AIOKafkaProducer(
        bootstrap_servers=given.kafka, acks=ACKS, enable_idempotence=True, linger_ms=LINGER_MS,
        compression_type=COMPRESSION,
    )  # fmt: skip
    await consumer.start()
    await producer.start()
    job, is_last, sent = job_of(given), False, []
    while not is_last:
        for records in (await consumer.getmany(timeout_ms=WAIT_MS, max_records=BATCH)).values():
            is_last = meter.saw(len(records))
            for key, value in job.on_records([record.value for record in records]):
                sent.append(await producer.send(given.results, value, key))
    await asyncio.gather(*sent)
    await consumer.commit()
    meter.show()
    await producer.stop()
    await consumer.stop()


def run(given: Options, meter: Meter) -> None:
    """Until all records are done."""
    uvloop.run(_run(given, meter))


if __name__ == "__main__":
    main(run)
