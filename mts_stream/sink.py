"""The sink: every result topic into ClickHouse, each message once, however often it comes.

    faust -A mts_stream.sink worker -l info

    mts.signals  -> signals, opportunity_events, opportunities      mts.funding -> funding_rates
    mts.spreads  -> spreads_1s (view rejections_1s)                 mts.quality -> feed_quality
    what does not fit -> mts.dlq

A batch is stored, then its offsets are committed; a repetition is dropped by its token, or becomes the same row by
its natural key. While ClickHouse is down the agents wait, Kafka keeps the results, and /health says why.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from faust.types import TP
from mode import CrashingSupervisor

from mts_stream import metrics, transport
from mts_stream.clickhouse.runner import apply_migrations
from mts_stream.settings import Settings
from mts_stream.sinks.agent import ClusterId, SinkHealth, TopicSink, limits_of
from mts_stream.sinks.clickhouse import Store
from mts_stream.sinks.writer import Writer
from mts_stream.wire import kafka, topics
from mts_stream.worker import WorkerApp, create_worker, settings_or_exit

AGE_TICK_S = 0.1
GATHER_MS = 100  # at the broker: a row waits for others anyway
GAUGES_TICK_S = 1.0
LEAVE_S = 4.0


def create_app(settings: Settings) -> WorkerApp:
    """The dataflow, top to bottom; needs neither Kafka nor ClickHouse yet."""
    app = create_worker(
        settings, group=topics.SINK_GROUP, batched=topics.STORED_TOPICS, web_port=settings.sink_web_port,
        data_dir=settings.sink_data_dir, process="sink", gather_ms=GATHER_MS,
    )  # fmt: skip
    store = Store(settings)

    async def send_dead_letter(value: bytes) -> None:
        await app.producer.send_and_wait(topics.DEAD_LETTERS, None, value, None, None, None)

    async def commit(topic: str, stored: Mapping[int, int]) -> None:
        offsets = {TP(topic, partition): offset for partition, offset in stored.items()}
        await transport.commit(app, offsets)
        for tp, offset in offsets.items():
            health.handled(tp, offset)

    writer = Writer(
        store, prepare=apply_migrations, send_dead_letter=send_dead_letter, retry_max_s=settings.sink_retry_max_s
    )
    app.health = health = SinkHealth(app, writer)
    cluster_id = ClusterId(lambda: kafka.cluster_id(settings))
    sinks = [
        TopicSink(
            topic, limits_of(settings), writer,
            cluster_id=cluster_id, commit=commit, generation=lambda: app.consumer_generation_id,
        )
        for topic in topics.STORED_TOPICS
    ]  # fmt: skip
    for sink in sinks:
        _add_agent(app, sink, transport.batch_topic(app, sink.topic, settings.partitions))

    @app.task  # type: ignore[untyped-decorator]
    async def bring_schema_up_to_date() -> None:
        async with app.bugs_end_it():
            await writer.prepare()

    @app.timer(GAUGES_TICK_S, name="gauges")  # type: ignore[untyped-decorator]
    async def show_gauges() -> None:
        for sink in sinks:
            metrics.SINK_LAG.labels(sink.topic).set(health.lag(sink.topic))

    @app.on_partitions_revoked.connect(weak=False)  # type: ignore[untyped-decorator]
    async def leave_partitions(*_: Any, **__: Any) -> None:
        async with app.bugs_end_it():
            await asyncio.gather(*(sink.leave(LEAVE_S) for sink in sinks))

    @app.on_before_shutdown.connect(weak=False)  # type: ignore[untyped-decorator]
    async def store_the_rest(*_: Any, **__: Any) -> None:
        """A restart goes on where this one stopped; what could not be stored in time is read again."""
        if not app.crashed:
            await asyncio.gather(*(sink.leave(LEAVE_S) for sink in sinks))
        await store.close()

    return app


def _add_agent(app: WorkerApp, sink: TopicSink, source: Any) -> None:
    @app.agent(source, name=sink.topic, concurrency=1, supervisor_strategy=CrashingSupervisor)  # type: ignore[untyped-decorator]
    async def store_topic(fetches: Any) -> None:
        async for fetch in fetches:
            generation = fetches.current_event.message.generation_id
            async with app.bugs_end_it():
                for tp, records in fetch.items():
                    await sink.on_records(tp.partition, records, generation)

    @app.task  # type: ignore[untyped-decorator]
    async def store_what_has_waited() -> None:
        async with app.bugs_end_it():
            while not app.should_stop:
                await asyncio.sleep(AGE_TICK_S)
                await sink.on_time()


def __getattr__(name: str) -> Any:
    """`app` is made when it is asked for: importing this module reads no settings."""
    if name == "app":
        globals()["app"] = create_app(settings_or_exit())
        return globals()["app"]
    raise AttributeError(name)
