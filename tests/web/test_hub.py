"""Clients of the stream."""

import json

import pytest

from mts_stream.web.hub import CLIENT_EVENTS_MAX, Hub, HubFullError, event


def _nothing() -> None:
    pass


async def test_a_client_gets_its_first_event_and_all_that_follow():
    """What is published after joining comes in order, after the first event."""
    hub = Hub()
    client = hub.join(b"first", _nothing)
    hub.publish(b"one")
    hub.publish(b"two")
    events = client.events()

    assert [await anext(events) for _ in range(3)] == [b"first", b"one", b"two"]


async def test_a_client_that_cannot_keep_up_is_dropped():
    """A full queue ends the client, and only that one."""
    dropped = []
    hub = Hub()
    slow = hub.join(b"first", lambda: dropped.append("slow"))
    quick = hub.join(b"first", lambda: dropped.append("quick"))
    events = quick.events()
    for _ in range(CLIENT_EVENTS_MAX):
        await anext(events)
        hub.publish(b"more")

    assert dropped == ["slow"]
    assert hub.clients == 1
    assert [event async for event in slow.events()] == []


async def test_the_number_of_clients_is_bounded():
    """One more than may is refused; a place that is left is free."""
    hub = Hub(clients_max=1)
    client = hub.join(b"", _nothing)
    with pytest.raises(HubFullError):
        hub.join(b"", _nothing)
    hub.leave(client)

    assert hub.join(b"", _nothing)


async def test_closing_ends_everybody():
    """A closed hub lets its clients go and takes no more."""
    hub = Hub()
    client = hub.join(b"first", _nothing)
    hub.close()

    assert [event async for event in client.events()] == []
    with pytest.raises(HubFullError):
        hub.join(b"", _nothing)


def test_an_event_is_one_line_of_json():
    """Line breaks in the data do not break the event."""
    name, data, *rest = event("changes", {"a": "x\n\ny"}).split(b"\n")

    assert name == b"event: changes"
    assert json.loads(data.removeprefix(b"data: ")) == {"a": "x\n\ny"}
    assert rest == [b"", b""]
