"""Quix Streams: one expanding apply over the stream, its state in memory, results to a topic."""

import os

from quixstreams import Application  # type: ignore[import-not-found]

from tests.benchmarks.same_job.engines.running import ACKS, COMPRESSION, LINGER_MS, Meter, Options, job_of, main


def run(given: Options, meter: Meter) -> None:
    """Until all records are done."""
    app = Application(
        broker_address=given.kafka, consumer_group=given.group, auto_offset_reset="earliest", loglevel="ERROR",
        auto_create_topics=False, state_dir=given.directory, request_timeout=30,
        producer_extra_config={"acks": ACKS, "linger.ms": LINGER_MS, "compression.type": COMPRESSION},
        consumer_extra_config={"fetch.wait.max.ms": 10},
    )  # fmt: skip
    source = app.topic(given.topic, value_deserializer="bytes", key_deserializer="bytes")
    results = app.topic(given.results, value_serializer="bytes", key_serializer="bytes")
    job = job_of(given)

    def on_record(value: bytes) -> list[bytes]:
        if meter.saw(1):
            app.stop()
        return [result for _, result in job.on_record(value)]

    stream = app.dataframe(source).apply(on_record, expand=True)
    stream.to_topic(results)
    app.run()
    meter.show()
    os._exit(0)


if __name__ == "__main__":
    main(run)
