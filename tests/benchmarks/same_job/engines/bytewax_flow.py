"""bytewax: a flat map over batches of its Kafka source, one worker, its state in memory, results by its Kafka sink."""

from typing import Any

import bytewax.operators as op  # type: ignore[import-not-found]
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource  # type: ignore[import-not-found]
from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]
from bytewax.testing import run_main  # type: ignore[import-not-found]

from tests.benchmarks.same_job.engines.running import BATCH, COMPRESSION, LINGER_MS, Meter, Options, job_of, main


def run(given: Options, meter: Meter) -> None:
    """The source ends where the topic did when it began."""
    job = job_of(given)

    def on_batch(batch: list[Any]) -> list[Any]:
        meter.saw(len(batch))
        results = job.on_records([message.value for message in batch])
        return [KafkaSinkMessage(key, value) for key, value in results]

    flow = Dataflow("job")
    fetching = {"fetch.wait.max.ms": "10", "group.id": given.group}
    sending = {"linger.ms": str(LINGER_MS), "compression.type": COMPRESSION, "partitioner": "murmur2_random"}
    source = KafkaSource([given.kafka], [given.topic], tail=False, batch_size=BATCH, add_config=fetching)
    results = op.flat_map_batch("job", op.input("in", flow, source), on_batch)
    op.output("out", results, KafkaSink([given.kafka], given.results, add_config=sending))
    run_main(flow)
    meter.show()


if __name__ == "__main__":
    main(run)
