"""Faults of connections and subscriptions over real sockets."""

import asyncio
from typing import Any

import aiohttp
import pytest

from producers.simulator.settings import SimulatorSettings
from producers.simulator.simulator import Simulator
from tests.producers.simulator.clients import open_socket, poll

STREAM = "btcusdt@depth@100ms"
TOPIC = "orderbook.50.BTCUSDT"
SILENCE_S = 0.5


def _url(simulator: Simulator, venue: str) -> str:
    return simulator.urls["BINANCE_SPOT_WS_URL"] + "/ws" if venue == "binance" else _linear(simulator)


def _linear(simulator: Simulator) -> str:
    return simulator.urls["BYBIT_WS_URL"] + "/v5/public/linear"


def _market(venue: str) -> str:
    return "spot" if venue == "binance" else "perp"


def _subscribe(venue: str) -> dict[str, Any]:
    if venue == "binance":
        return {"method": "SUBSCRIBE", "params": [STREAM], "id": 7}
    return {"op": "subscribe", "args": [TOPIC], "req_id": "7"}


def _is_ack(message: dict[str, Any]) -> bool:
    return "result" in message or "code" in message or message.get("op") == "subscribe"


@pytest.mark.parametrize("venue", ["binance", "bybit"])
@pytest.mark.parametrize("code", [1000, 1001, 1006, 1008, 1011])
async def test_connections_close_with_each_code(simulator: Simulator, venue: str, code: int) -> None:
    """The client reads the code from the handshake; 1006 is a cut without one."""
    async with open_socket(_url(simulator, venue)) as socket:
        await poll(lambda: simulator._world.sessions(venue))
        fault = simulator.inject(f"close_{code}", venue, _market(venue))
        message = await socket.ws.receive(timeout=5)
        if code == 1006:
            assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        else:
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, code)
    assert fault.hits == 1
    await poll(lambda: not simulator._world.sessions())


@pytest.mark.parametrize("venue", ["binance", "bybit"])
async def test_a_half_open_socket_says_nothing_more(simulator: Simulator, venue: str) -> None:
    """No data, no pong, no answer to a close, until it is cut at last; a new connection is well."""
    async with open_socket(
        _url(simulator, venue), autoping=False, timeout=aiohttp.ClientWSTimeout(ws_close=0.2)
    ) as old:
        await old.say(_subscribe(venue))
        await old.hear()
        simulator.inject("half_open", venue, _market(venue), duration_s=1.6)
        await asyncio.sleep(0.1)
        await old.ws.ping(b"there?")
        silence = await _receive_until_silent(old.ws)
        assert b"there?" not in silence
        async with open_socket(_url(simulator, venue)) as new:
            await new.say(_subscribe(venue))
            assert await new.hear()
        assert (await old.ws.receive(timeout=5)).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    await poll(lambda: not simulator._world.sessions())


async def _receive_until_silent(ws: aiohttp.ClientWebSocketResponse) -> list[Any]:
    heard = []
    while True:
        try:
            heard.append((await ws.receive(timeout=SILENCE_S)).data)
        except TimeoutError:
            return heard


async def test_a_half_open_socket_answers_no_close(simulator: Simulator) -> None:
    """The client's own closing handshake times out, and the server lets go of the session at the end."""
    timeout = aiohttp.ClientWSTimeout(ws_close=0.3)
    async with open_socket(_url(simulator, "bybit"), timeout=timeout) as socket:
        await poll(lambda: simulator._world.sessions("bybit"))
        simulator.inject("half_open", "bybit", "perp", duration_s=0.8)
        await socket.ws.close()
        assert socket.ws.close_code == 1006
    await poll(lambda: not simulator._world.sessions())


@pytest.mark.parametrize("venue", ["binance", "bybit"])
async def test_connections_are_refused_for_a_while(simulator: Simulator, venue: str) -> None:
    """The host is down: what is open is cut, what is new gets no connection, REST neither; then all is well."""
    market = _market(venue)
    async with open_socket(_url(simulator, venue)) as socket:
        await poll(lambda: simulator._world.sessions(venue))
        simulator.inject("connection_refused", venue, market, duration_s=0.6)
        assert (await socket.ws.receive(timeout=5)).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    with pytest.raises(aiohttp.ClientConnectorError):
        async with open_socket(_url(simulator, venue)):
            pass
    await poll(lambda: all(host.is_listening for host in simulator._world.hosts.values()))
    async with open_socket(_url(simulator, venue)) as socket:
        await socket.say(_subscribe(venue))
        assert await socket.hear()


async def test_a_shutdown_is_announced_before_it_happens(simulator: Simulator) -> None:
    """`serverShutdown` in the form of the path, to every client of spot, then a close."""
    base = simulator.urls["BINANCE_SPOT_WS_URL"]
    async with open_socket(base + "/ws") as raw, open_socket(base + f"/stream?streams={STREAM}") as combined:
        await combined.hear()
        simulator.inject("server_shutdown", "binance", "spot", duration_s=0.5)
        event = await raw.hear()
        assert (event["e"], type(event["E"])) == ("serverShutdown", int)
        assert (await combined.hear_until("stream", "!serverShutdown"))[-1]["data"]["e"] == "serverShutdown"
        assert (await raw.ws.receive(timeout=5)).data == 1001


@pytest.mark.parametrize("venue", ["binance", "bybit"])
async def test_an_acknowledgement_can_fail(simulator: Simulator, venue: str) -> None:
    """It says so, nothing is subscribed, and the next try is well."""
    async with open_socket(_url(simulator, venue)) as socket:
        simulator.inject("ack_failure", venue, _market(venue))
        await socket.say(_subscribe(venue))
        refused = await socket.hear()
        assert refused["code"] == 2 if venue == "binance" else refused["success"] is False
        assert await _receive_until_silent(socket.ws) == []
        await socket.say(_subscribe(venue))
        accepted = await socket.hear()
        assert accepted["result"] is None if venue == "binance" else accepted["success"]
        assert await socket.hear()


@pytest.mark.parametrize("venue", ["binance", "bybit"])
async def test_an_acknowledgement_can_have_another_id_or_be_missing(simulator: Simulator, venue: str) -> None:
    """The stream flows all the same."""
    for name in ("ack_wrong_id", "ack_missing"):
        async with open_socket(_url(simulator, venue)) as socket:
            fault = simulator.inject(name, venue, _market(venue))
            await socket.say(_subscribe(venue))
            heard = [await socket.hear() for _ in range(3)]
            acks = [message for message in heard if _is_ack(message)]
            assert fault.hits == 1
            assert len(acks) == (name == "ack_wrong_id")
            assert all(str(message.get("id", message.get("req_id"))) != "7" for message in acks)


@pytest.mark.parametrize("venue", ["binance", "bybit"])
async def test_an_acknowledged_stream_can_stay_silent(simulator: Simulator, venue: str) -> None:
    """The ack is as always and no frame comes; a new subscription after the fault is well."""
    async with open_socket(_url(simulator, venue)) as socket:
        simulator.inject("silent_stream", venue, _market(venue), "BTCUSDT", duration_s=1.0)
        await socket.say(_subscribe(venue))
        assert _is_ack(await socket.hear())
        assert await _receive_until_silent(socket.ws) == []
        await poll(lambda: simulator.fault_truth[0]["end_ns"])
        if venue == "binance":
            await socket.ask({"method": "UNSUBSCRIBE", "params": [STREAM], "id": 8})
        else:
            await socket.say({"op": "unsubscribe", "args": [TOPIC]})
            await socket.hear()
        await socket.say(_subscribe(venue))
        await socket.hear()
        assert not _is_ack(await socket.hear())


@pytest.mark.parametrize("listed", [True, False])
async def test_a_silent_stream_may_be_missing_from_the_list(simulator: Simulator, listed: bool) -> None:
    """LIST_SUBSCRIPTIONS shows it or not, as the fault says."""
    async with open_socket(_url(simulator, "binance")) as socket:
        simulator.inject("silent_stream", "binance", "spot", listed=listed)
        await socket.ask(_subscribe("binance"))
        answer = await socket.ask({"method": "LIST_SUBSCRIPTIONS", "id": 9})
    assert answer["result"] == ([STREAM] if listed else [])


async def test_nothing_is_left_when_the_simulator_stops_amid_faults() -> None:
    """Sockets that are half open, a refused host and late frames do not hold up the end."""
    loop = asyncio.get_running_loop()
    simulator = Simulator(SimulatorSettings(pairs=1, first_episode_s=600))
    await simulator.start()
    async with open_socket(_linear(simulator)) as socket:
        await socket.say(_subscribe("bybit"))
        await socket.hear()
        simulator.inject("late_frames", "bybit", "perp", "BTCUSDT", delay_s=60.0)
        simulator.inject("half_open", "bybit", "perp", duration_s=60)
        simulator.inject("connection_refused", "binance", "spot", duration_s=60)
        before_s = loop.time()
        await simulator.stop()
        assert loop.time() - before_s < 3
    assert all(row["end_ns"] for row in simulator.fault_truth)
    assert not simulator._world.sessions()
