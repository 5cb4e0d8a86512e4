"""Faust as its documentation shows it: an agent over events, a send for each result."""

import asyncio
import os
from typing import Any

import faust

from tests.benchmarks.same_job.engines.running import Meter, Options, job_of, main


def run(given: Options, meter: Meter) -> None:
    """Until all records are done."""
    app = faust.App(
        given.group, broker=f"kafka://{given.kafka}", store="memory://", datadir=given.directory, web_enabled=False,
        topic_partitions=given.partitions, topic_disable_leader=True, value_serializer="raw", key_serializer="raw",
        consumer_auto_offset_reset="earliest", producer_acks=-1, producer_compression_type="lz4",
    )  # fmt: skip
    source = app.topic(given.topic, value_type=bytes, partitions=given.partitions)
    results = app.topic(given.results, value_type=bytes, partitions=given.partitions)
    job = job_of(given)

    @app.agent(source, name="job")  # type: ignore[untyped-decorator]
    async def process(stream: Any) -> None:
        async for event in stream.events():
            is_last = meter.saw(1)
            for key, value in job.on_record(event.value):
                await results.send(key=key, value=value)
            if is_last:
                app.loop.create_task(finish())

    async def finish() -> None:
        await app.producer.flush()
        await app.commit(app.topics)
        meter.show()
        os._exit(0)

    asyncio.set_event_loop(asyncio.new_event_loop())
    faust.Worker(app, loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main(run)
