"""A Faust transport, `batch://`, whose consumer hands an agent whole fetches: a batch of each partition.

    app = faust.App(..., broker=broker_url(settings), stream_wait_empty=False)
    configure(app, settings, batched={"mts.raw"})            # which topics come in batches
    raw = batch_topic(app, "mts.raw", settings.partitions)   # acks=False: Faust commits nothing of it

    @app.agent(raw, name="market")
    async def market(stream):
        async for fetch in stream:                           # dict of TP: list of BatchRecord: (offset, value)
            generation = stream.current_event.message.generation_id
            for tp, records in fetch.items():
                if not is_current(app, generation):
                    break                                    # waited through a rebalance: all is read again
                expected = first_offset(app, tp)             # where reading began in this generation
                ...
    await commit(app, {TP("mts.raw", 0): next_offset})       # by whoever knows what is durable; never lowers one

What it promises: in one generation the batches of a partition follow each other without a hole from the committed
offset on (from the earliest record where nothing is committed), and no record comes twice; a hole that stays after
seeking back is a hole in the log. After a rebalance every partition begins at its committed offset again.
While an agent's queue is full, nothing of its topic is fetched: memory has a bound.
Everything else of Faust (tables, timers, web, command line) works as with `kafka://`.

consumer.py: Faust's consumer, on aiokafka for the group, the commits and the changelogs
plane.py:    the records of the batched topics, by librdkafka
"""

from collections.abc import Iterable, Mapping
from typing import Any

from faust.transport import drivers
from faust.types import TP

from mts_stream.settings import Settings
from mts_stream.transport.plane import BatchRecord as BatchRecord
from mts_stream.transport.plane import Fetch as Fetch

SCHEME = "batch"

drivers.TRANSPORTS.aliases[SCHEME] = "mts_stream.transport.consumer:Transport"


def broker_url(settings: Settings) -> str:
    """The `broker=` of an app on this transport."""
    hosts = [host.strip() for host in settings.kafka_bootstrap_servers.split(",")]
    return ";".join(f"{SCHEME}://{host}" for host in hosts if host)


def configure(app: Any, settings: Settings, *, batched: Iterable[str], gather_ms: int = 0) -> None:
    """Name the topics whose records come in batches, and the settings of what fetches them.

    Who is in no hurry gathers them for so long at the broker: each fetch costs both sides as much as many records.
    """
    app.settings = settings
    app.gather_ms = gather_ms
    app.batched_topics = frozenset(batched)


def batch_topic(app: Any, name: str, partitions: int) -> Any:
    """A topic whose values are a Fetch each, and of which Faust acknowledges and commits nothing."""
    return app.topic(name, partitions=partitions, acks=False, key_serializer="raw", value_serializer="raw")


def is_current(app: Any, generation: int) -> bool:
    """Whether what was fetched in a generation of the group is fetched in the one that stands now."""
    return bool(generation == app.consumer_generation_id)


def first_offset(app: Any, tp: TP) -> int | None:
    """Where reading of a partition began in this generation; None for one that is not ours."""
    offset: int | None = app.consumer.first_offsets.get(tp)
    return offset


def go_back(app: Any, tp: TP, offset: int) -> None:
    """Read a partition again from an offset on, soon: what was handed on from there did not arrive."""
    app.consumer.returns[tp] = offset


async def commit(app: Any, offsets: Mapping[TP, int]) -> bool:
    """Commit the offset of the next record to read of each partition that is still ours and where it is a step ahead.

    False where the group has moved on: then nothing is committed, and all is read again by the next owner.
    """
    consumer = app.consumer
    ours = consumer.assignment()
    ahead = {tp: o for tp, o in offsets.items() if tp in ours and o > (consumer._committed_offset[tp] or 0)}
    if not ahead:
        return True
    if not await consumer._commit(ahead):
        return False
    consumer._committed_offset.update(ahead)
    return True


def leave_at_end(app: Any) -> None:
    """Let the consumer leave the group when it stops: aiokafka does so for members without a name alone."""
    client = app.consumer._thread._consumer
    if client is not None:  # a worker that still waits for Kafka is in no group
        client._coordinator._group_instance_id = None
