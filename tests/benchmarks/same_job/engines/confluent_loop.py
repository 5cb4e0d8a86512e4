"""By hand, on confluent-kafka: poll, then drain; results through one producer."""

from confluent_kafka import Consumer, KafkaException, Producer

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

WAIT_S = 0.05


def run(given: Options, meter: Meter) -> None:
    """Until all records are done."""
    consumer = Consumer(
        {
            "bootstrap.servers": given.kafka, "group.id": given.group, "auto.offset.reset": "earliest",
            "enable.auto.commit": False, "fetch.wait.max.ms": 10,
        }
    )  # fmt: skip
    producer = Producer(
        {
            "bootstrap.servers": given.kafka, "acks": ACKS, "enable.idempotence": True, "linger.ms": LINGER_MS,
            "compression.type": COMPRESSION, "partitioner": "murmur2_random",
        }
    )  # fmt: skip
    consumer.subscribe([given.topic])
    job, is_last = job_of(given), False
    while not is_last:
        batch = consumer.consume(BATCH, 0) or consumer.consume(1, WAIT_S)
        if not batch:
            continue
        for message in batch:
            if message.error():
                raise KafkaException(message.error())
        is_last = meter.saw(len(batch))
        for key, value in job.on_records([message.value() for message in batch]):
            producer.produce(given.results, value, key)
        producer.poll(0)
    producer.flush()
    consumer.commit(asynchronous=False)
    meter.show()
    consumer.close()


if __name__ == "__main__":
    main(run)
