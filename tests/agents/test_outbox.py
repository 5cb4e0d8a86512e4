"""The outbox: order kept, bounded, and a refusal is never overlooked."""

import asyncio

import pytest

from mts_stream.agents.outbox import POLL_S, Outbox, Outgoing
from mts_stream.errors import DeliveryError
from tests.agents.fakes import FakeApp


def some(count: int) -> list[Outgoing]:
    """Records to send."""
    return [Outgoing("mts.signals", b"k", str(i).encode(), []) for i in range(count)]


async def settle() -> None:
    """Let every task that can move do so."""
    await asyncio.sleep(20 * POLL_S)


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
    await settle()
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
    await settle()
    app.producer.confirm(2)
    await settle()
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
    await settle()
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
    await settle()
    waiting.cancel()
    await settle()

    app.producer.confirm()
    await outbox.confirmed()


async def test_a_record_that_is_not_even_taken_raises() -> None:
    """As one that is refused later."""
    app = FakeApp()
    app.producer.refuses_at_once = True

    with pytest.raises(DeliveryError, match=r"for mts\.signals-2"):
        await Outbox(lambda: app.producer, 100).send(2, some(1))


async def test_a_parcel_that_waits_for_room_is_not_confirmed_by_its_first_half() -> None:
    """Who asks meanwhile waits for all of it."""
    app = FakeApp()
    app.producer.confirms = False
    outbox = Outbox(lambda: app.producer, 2)
    sending = asyncio.create_task(outbox.send(0, some(3)))
    await settle()
    waiting = asyncio.create_task(outbox.confirmed())
    app.producer.confirm()
    await settle()
    assert (sending.done(), waiting.done(), len(outbox)) == (True, False, 1)

    app.producer.confirm()
    await waiting
