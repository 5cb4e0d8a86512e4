"""Ours: a Faust agent on the batch transport; results and commits go the product's ways."""

import asyncio
import os
from pathlib import Path
from typing import Any

import faust
import uvloop
from faust.types import TP

from mts_stream import transport
from mts_stream.agents.outbox import Outbox, Outgoing
from mts_stream.settings import load_settings
from mts_stream.wire.kafka import results_producer
from mts_stream.worker import create_worker
from tests.benchmarks.same_job.engines.running import Meter, Options, job_of, main

COMMIT_EVERY_RECORDS = 10_000


def run(given: Options, meter: Meter) -> None:
    """Until all records are done."""
    settings = load_settings(kafka_bootstrap_servers=given.kafka, partitions=given.partitions, log_level="ERROR")
    app = create_worker(
        settings, group=given.group, batched={given.topic}, web_port=1, data_dir=Path(given.directory),
        process="worker",
    )  # fmt: skip
    app.conf.web_enabled = False
    source = transport.batch_topic(app, given.topic, given.partitions)
    outbox = Outbox(lambda: results_producer(settings), settings.results_unsent_max)
    job = job_of(given)
    position: dict[TP, int] = {}

    @app.agent(source, name="job", concurrency=1)  # type: ignore[untyped-decorator]
    async def process(fetches: Any) -> None:
        committed = 0
        async for fetch in fetches:
            if not transport.is_current(app, fetches.current_event.message.generation_id):
                continue
            is_last = meter.saw(sum(map(len, fetch.values())))
            for tp, records in fetch.items():
                results = job.on_records([value for _, value in records])
                await outbox.send(tp.partition, [Outgoing(given.results, key, value, []) for key, value in results])
                position[tp] = records[-1][0] + 1
            if is_last or meter.seen - committed >= COMMIT_EVERY_RECORDS:
                committed = meter.seen
                await outbox.confirmed()
                await transport.commit(app, position)
            if is_last:
                meter.show()
                os._exit(0)

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.set_event_loop(asyncio.new_event_loop())
    faust.Worker(app, loglevel="ERROR", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main(run)
