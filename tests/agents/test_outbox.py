"""The outbox: order kept, bounded, and a refusal is never overlooked."""

import asyncio
from contextlib import suppress

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from mts_stream.agents.outbox import Outbox, Outgoing
from mts_stream.errors import DeliveryError
from mts_stream.settings import Settings
from mts_stream.wire import kafka as wire
from mts_stream.wire.kafka import Reader, client_config, results_producer
from tests.agents.fakes import FakeApp, FakeProducer
from tests.chaos.disturbances import broker_process

DEADLINE_S = 30.0
LOOKS = 5  # of two that wait, each at least twice


def some(count: int) -> list[Outgoing]:
    """Records to send."""
    return [Outgoing("mts.signals", b"k", str(i).encode(), []) for i in range(count)]


async def looked(producer: FakeProducer) -> None:
    """Return when whoever waits has looked for confirmations a few times more."""
    enough = producer.polls + LOOKS
    async with asyncio.timeout(DEADLINE_S):
        while producer.polls < enough:
            await asyncio.sleep(0)


async def test_records_go_out_in_their_order_to_their_partition() -> None:
    """What is handed over first is sent first, to the partition of the raw record."""
    app = FakeApp()
    outbox = Outbox(lambda: app.producer, 100)

    await outbox.send(3, some(5))

    assert app.producer.sent == [("mts.signals", b"k", str(i).encode(), 3) for i in range(5)]


async def test_sending_waits_at_the_limit() -> None:
    """With `limit` records unconfirmed nothing more is handed over until one is confirmed."""
    app = FakeApp()
    app.producer.confirms = False
    outbox = Outbox(lambda: app.producer, 3)

    sending = asyncio.create_task(outbox.send(0, some(5)))
    await looked(app.producer)
    assert (len(app.producer.sent), sending.done()) == (3, False)
    app.producer.confirm()
    await sending

    assert len(app.producer.sent) == 5
    assert len(outbox) == 2


async def test_confirmed_waits_for_all_that_went_before() -> None:
    """It returns when the last record handed over before the call is confirmed, not sooner."""
    app = FakeApp()
    app.producer.confirms = False
    outbox = Outbox(lambda: app.producer, 100)
    await outbox.send(0, some(3))

    waiting = asyncio.create_task(outbox.confirmed())
    await looked(app.producer)
    app.producer.confirm(2)
    await looked(app.producer)
    assert not waiting.done()
    app.producer.confirm()
    await waiting

    assert len(outbox) == 0


async def test_two_waiters_both_return() -> None:
    """The checkpointer and a full outbox may wait for the same record."""
    app = FakeApp()
    app.producer.confirms = False
    outbox = Outbox(lambda: app.producer, 2)
    await outbox.send(0, some(2))

    tasks = [asyncio.create_task(outbox.confirmed()), asyncio.create_task(outbox.send(0, some(1)))]
    await looked(app.producer)
    app.producer.confirm()
    await asyncio.wait_for(tasks[1], 1)
    app.producer.confirm()
    await asyncio.wait_for(tasks[0], 1)


async def test_a_refused_record_raises() -> None:
    """A record that Kafka did not take stops the worker: its offset must never be committed."""
    app = FakeApp()
    app.producer.confirms = False
    outbox = Outbox(lambda: app.producer, 100)
    await outbox.send(0, some(1))
    app.producer.refuse()

    with pytest.raises(DeliveryError, match="too large"):
        await outbox.confirmed()


async def test_a_cancelled_waiter_does_not_cancel_the_delivery() -> None:
    """A worker that stops gives up waiting; the record is still on its way, and the last checkpoint waits for it."""
    app = FakeApp()
    app.producer.confirms = False
    outbox = Outbox(lambda: app.producer, 100)
    await outbox.send(0, some(1))
    waiting = asyncio.create_task(outbox.confirmed())
    await looked(app.producer)
    waiting.cancel()
    with suppress(asyncio.CancelledError):
        await waiting

    app.producer.confirm()
    await outbox.confirmed()


async def test_a_record_that_is_not_even_taken_raises() -> None:
    """As one that is refused later."""
    app = FakeApp()
    app.producer.refuses_at_once = True

    with pytest.raises(DeliveryError, match=r"for mts\.signals-2.*MSG_SIZE_TOO_LARGE"):
        await Outbox(lambda: app.producer, 100).send(2, some(1))


async def test_a_producer_whose_queue_is_full_is_waited_for(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few large records fill librdkafka's queue long before the limit; with the broker back all arrive in order."""
    monkeypatch.setattr(wire, "RESULTS_KIB_MAX", 1024)
    settings = Settings(kafka_bootstrap_servers=kafka)
    admin = AdminClient(client_config(settings))
    admin.create_topics([NewTopic("outbox", 1, 1)])["outbox"].result(DEADLINE_S)
    outbox, values = Outbox(lambda: results_producer(settings), 1000), [b"%d" % i * 90_000 for i in range(1, 10)] * 4
    await outbox.send(0, [Outgoing("outbox", None, values[0], [])])
    await outbox.confirmed()

    broker = broker_process(kafka)
    broker.suspend()
    try:
        sending = asyncio.create_task(outbox.send(0, [Outgoing("outbox", None, value, []) for value in values[1:]]))
        await asyncio.sleep(0)  # it sends what there is room for
        assert 0 < len(outbox) * 90_000 <= 1024 * 1024
        assert not sending.done()
    finally:
        broker.resume()
    async with asyncio.timeout(DEADLINE_S):
        await sending
        await outbox.confirmed()

    with Reader(settings, ["outbox"]) as reader:
        assert [record.value for record in reader.read_to_end()] == values


async def test_a_record_larger_than_the_whole_queue_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is on its way whose confirmation could make room for it."""
    monkeypatch.setattr(wire, "RESULTS_KIB_MAX", 1)
    outbox = Outbox(lambda: results_producer(Settings(kafka_bootstrap_servers="127.0.0.1:1")), 100)

    with pytest.raises(DeliveryError, match=r"for mts\.signals-2: Local: Queue full"):
        await outbox.send(2, [Outgoing("mts.signals", b"k", bytes(2048), [])])


async def test_a_parcel_that_waits_for_room_is_not_confirmed_by_its_first_half() -> None:
    """Who asks meanwhile waits for all of it."""
    app = FakeApp()
    app.producer.confirms = False
    outbox = Outbox(lambda: app.producer, 2)
    sending = asyncio.create_task(outbox.send(0, some(3)))
    await looked(app.producer)
    waiting = asyncio.create_task(outbox.confirmed())
    app.producer.confirm()
    await looked(app.producer)
    assert (sending.done(), waiting.done(), len(outbox)) == (True, False, 1)

    app.producer.confirm()
    await waiting
