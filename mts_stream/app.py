"""The worker: raw log in, engine per partition, results out, checkpoints in the table `pairs`.

faust -A mts_stream.app worker -l info
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from mode import CrashingSupervisor

from mts_stream import metrics, transport
from mts_stream.agents.checkpoints import Checkpointer, SavedCheckpoints
from mts_stream.agents.lag import EventLag
from mts_stream.agents.long_lived import LongLived
from mts_stream.agents.market import Market
from mts_stream.agents.outbox import Outbox
from mts_stream.agents.partitions import EngineFactory, Partitions
from mts_stream.agents.rebuilding import Rebuilder
from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.kernel import Kernel
from mts_stream.kernels import kernel_in_use
from mts_stream.settings import Settings
from mts_stream.wire import topics
from mts_stream.wire.kafka import results_producer
from mts_stream.wire.reading import record_reader
from mts_stream.worker import WorkerApp, create_worker, settings_or_exit

CHECKPOINT_TICK_S = 0.25
GAUGES_TICK_S = 1.0


def create_app(settings: Settings, new_engine: EngineFactory | None = None) -> WorkerApp:
    """The dataflow, top to bottom; needs no Kafka yet."""
    app = create_worker(
        settings, group=topics.WORKER_GROUP, batched={topics.RAW}, web_port=settings.worker_web_port,
        data_dir=settings.worker_data_dir, process="worker", instance_id=settings.worker_instance_id,
    )  # fmt: skip
    app.keeps_name = True
    raw = transport.batch_topic(app, topics.RAW, settings.partitions)
    saved = SavedCheckpoints()
    table = app.Table(
        topics.PAIRS_TABLE, key_type=bytes, value_type=bytes, partitions=settings.partitions,
        on_changelog_event=saved.on_changelog_event,
    )  # fmt: skip
    kernel = kernel_in_use(settings.kernel)
    partitions = Partitions(new_engine := new_engine or _engine(settings, kernel))
    outbox = Outbox(lambda: results_producer(settings), settings.results_unsent_max)
    lag = EventLag(settings.max_lag_ms)
    app.health.details = lambda: {"lag_s": round(lag.max_s, 3), "late_partitions": lag.late}
    market = Market(app, partitions, saved, outbox, lag, record_reader(kernel.name), Rebuilder(settings, new_engine))
    long_lived = LongLived()
    checkpointer = Checkpointer(app, table, partitions, saved, outbox, settings.checkpoint_interval_s)

    @app.agent(raw, name="market", concurrency=1, supervisor_strategy=CrashingSupervisor)  # type: ignore[untyped-decorator]
    async def handle_market_data(fetches: Any) -> None:
        async for fetch in fetches:
            generation = fetches.current_event.message.generation_id
            for tp, records in fetch.items():
                if transport.is_current(app, generation):  # else it waited through a rebalance, and is read again
                    async with app.bugs_end_it():
                        await market.on_batch(tp, records, generation)

    @app.task  # type: ignore[untyped-decorator]
    async def settle_what_is_owed() -> None:
        await _again_and_again(app, market.settle)

    @app.task  # type: ignore[untyped-decorator]
    async def write_checkpoints() -> None:
        while not app.should_stop:
            if not app.rebalancing and not app.in_recovery:
                async with app.bugs_end_it():
                    await checkpointer.run()
            await app.sleep(CHECKPOINT_TICK_S)

    @app.on_partitions_revoked.connect  # type: ignore[untyped-decorator]
    async def leave_partitions(*_: Any, **__: Any) -> None:
        """Before the group goes on: nothing of ours may come after the next owner has read the changelog."""
        async with app.bugs_end_it():
            await checkpointer.run(everything=True)

    @app.on_partitions_assigned.connect  # type: ignore[untyped-decorator]
    async def take_partitions(_: Any, assigned: Any, **__: Any) -> None:
        ours = {tp.partition for tp in assigned if tp.topic == topics.RAW}
        partitions.keep_only(ours)
        saved.keep_only(ours)
        lag.keep_only(ours)

    @app.on_before_shutdown.connect  # type: ignore[untyped-decorator]
    async def leave(*_: Any, **__: Any) -> None:
        """A restart goes on where this worker stopped; after a crash nothing more is committed."""
        if not app.crashed:
            partitions.closed = True
            await checkpointer.run(everything=True)
            app.leave_group()

    @app.timer(GAUGES_TICK_S, name="gauges")  # type: ignore[untyped-decorator]
    async def look_after() -> None:
        long_lived.look(partitions)
        lag.waiting((tp.partition for tp in app.health.behind()), time.time_ns())
        _show(partitions, outbox)

    return app


async def _again_and_again(app: WorkerApp, step: Callable[[], Awaitable[None]]) -> None:
    """A step, until the worker stops."""
    while not app.should_stop:
        async with app.bugs_end_it():
            await step()


def _show(partitions: Partitions, outbox: Outbox) -> None:
    """The gauges."""
    metrics.PAIRS.set(sum(len(partition.engine.pairs) for partition in partitions))
    metrics.UNCONFIRMED.set(len(outbox))
    metrics.OPEN_OPPORTUNITIES.set(sum(partition.engine.open_opportunities for partition in partitions))


def _engine(settings: Settings, kernel: Kernel) -> EngineFactory:
    economics = settings.economics()
    return lambda: PartitionEngine(economics, kernel)


def __getattr__(name: str) -> Any:
    """`app` is made when it is asked for: importing this module reads no settings."""
    if name == "app":
        globals()["app"] = create_app(settings_or_exit())
        return globals()["app"]
    raise AttributeError(name)
