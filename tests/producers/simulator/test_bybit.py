"""Bybit's server over real sockets: acknowledgements, refusals, windows, tickers, pings, REST."""

from typing import Any

import aiohttp
import pytest

from producers.simulator.settings import SimulatorSettings
from producers.simulator.simulator import Simulator
from tests.producers.simulator.clients import PlainBook, Socket, get, open_socket


def _url(simulator: Simulator, category: str) -> str:
    return f"{simulator.urls['BYBIT_WS_URL']}/v5/public/{category}"


def _rest(simulator: Simulator, path: str) -> str:
    return f"{simulator.urls['BYBIT_REST_URL']}/v5/market/{path}"


async def _subscribe(socket: Socket, *topics: str, req_id: str = "r1") -> dict[str, Any]:
    await socket.say({"op": "subscribe", "req_id": req_id, "args": list(topics)})
    return (await socket.hear_until("req_id", req_id))[-1]


@pytest.mark.parametrize(("category", "ret_msg"), [("spot", "subscribe"), ("linear", "")])
async def test_a_subscription_is_acknowledged_then_a_snapshot_comes(
    simulator: Simulator, category: str, ret_msg: str
) -> None:
    """The acknowledgement differs per category; the first data frame is a snapshot of exactly 50 levels."""
    async with open_socket(_url(simulator, category)) as socket:
        ack = await _subscribe(socket, "orderbook.50.BTCUSDT")
        snapshot = await socket.hear()

    assert (ack["success"], ack["ret_msg"], ack["op"], ack["req_id"]) == (True, ret_msg, "subscribe", "r1")
    assert snapshot["type"] == "snapshot"
    assert (len(snapshot["data"]["b"]), len(snapshot["data"]["a"])) == (50, 50)
    assert snapshot["cts"] <= snapshot["ts"]


async def test_key_order_differs_between_spot_and_linear(simulator: Simulator) -> None:
    """Spot, and depth 1 of futures, put `ts` before `type`; other futures depths after."""
    orders = []
    for category, depth in [("spot", 50), ("linear", 50), ("linear", 1)]:
        async with open_socket(_url(simulator, category)) as socket:
            await _subscribe(socket, f"orderbook.{depth}.BTCUSDT")
            orders.append(list(await socket.hear()))

    assert orders[0] == orders[2] == ["topic", "ts", "type", "data", "cts"]
    assert orders[1] == ["topic", "type", "ts", "data", "cts"]


@pytest.mark.parametrize(
    ("topics", "message"),
    [
        (["orderbook.50.NOPEUSDT"], "error:handler not found,topic:orderbook.50.NOPEUSDT"),
        (["orderbook.50.btcusdt"], "error:handler not found,topic:orderbook.50.btcusdt"),
        (["orderbook.30.BTCUSDT"], "error:handler not found,topic:orderbook.30.BTCUSDT"),
        (["tickers.NOPE"], "error:handler not found,topic:tickers.NOPE"),
        ([5], "error:handler not found,topic:5"),
        ([], "error:args is empty"),
        (["x" * 21_001], "error:args length is too long"),
    ],
)
async def test_a_request_that_cannot_be_is_refused(simulator: Simulator, topics: list[Any], message: str) -> None:
    """`success` is false and the message names the topic."""
    async with open_socket(_url(simulator, "linear")) as socket:
        answer = await _subscribe(socket, *topics)

    assert (answer["success"], answer["ret_msg"]) == (False, message)


async def test_a_topic_is_subscribed_once(simulator: Simulator) -> None:
    """A repetition is refused and the first goes on; after unsubscribing it may be taken again."""
    async with open_socket(_url(simulator, "linear")) as socket:
        await _subscribe(socket, "orderbook.50.BTCUSDT")
        again = await _subscribe(socket, "orderbook.50.BTCUSDT", req_id="r2")
        assert again["ret_msg"] == "error:already subscribed,topic:orderbook.50.BTCUSDT"
        assert (await socket.hear())["topic"] == "orderbook.50.BTCUSDT"
        await socket.say({"op": "unsubscribe", "req_id": "r3", "args": ["orderbook.50.BTCUSDT"]})
        assert (await socket.hear_until("req_id", "r3"))[-1]["success"]
        assert (await _subscribe(socket, "orderbook.50.BTCUSDT", req_id="r4"))["success"]
        assert (await socket.hear())["type"] == "snapshot"


async def test_spot_takes_ten_topics_a_request() -> None:
    """Eleven arguments fail on spot and pass on linear."""
    async with Simulator(SimulatorSettings(pairs=20)) as simulator:
        info, _ = await get(_rest(simulator, "tickers?category=spot"))
        topics = [f"orderbook.50.{row['symbol']}" for row in info["result"]["list"][:8]] + ["tickers.BTCUSDT"] * 3
        async with open_socket(_url(simulator, "spot")) as socket:
            assert (await _subscribe(socket, *topics))["ret_msg"] == "args size >10"
            assert (await _subscribe(socket, *topics[:9], req_id="r2"))["success"]


async def test_ping_is_answered_with_its_own_op(simulator: Simulator) -> None:
    """The pong has op `ping` and message `pong`; an unknown op is an error, and so is what is no JSON."""
    async with open_socket(_url(simulator, "linear")) as socket:
        await socket.say({"op": "ping", "req_id": "5"})
        pong = await socket.hear()
        await socket.say({"op": "dance"})
        unknown = await socket.hear()
        await socket.ws.send_str("{")
        broken = await socket.hear()

    assert (pong["success"], pong["ret_msg"], pong["op"]) == (True, "pong", "ping")
    assert (unknown["success"], unknown["ret_msg"]) == (False, "error:invalid op")
    assert broken["ret_msg"] == "error:invalid op"


async def test_a_silent_client_is_cut() -> None:
    """Who neither pings nor asks for long is disconnected; who pings stays."""
    async with (
        Simulator(SimulatorSettings(pairs=1, bybit_idle_s=0.6)) as simulator,
        open_socket(_url(simulator, "spot")) as socket,
    ):
        for _ in range(4):
            await socket.say({"op": "ping"})
            assert (await socket.hear())["ret_msg"] == "pong"
        assert (await socket.ws.receive(timeout=5)).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


async def test_depth_one_is_snapshots_and_repeats_when_quiet(simulator: Simulator) -> None:
    """No deltas, and the same `u` again after three quiet seconds."""
    async with open_socket(_url(simulator, "linear")) as socket:
        await _subscribe(socket, "orderbook.1.SOLUSDT")
        messages = [await socket.hear() for _ in range(12)]

    assert {message["type"] for message in messages} == {"snapshot"}
    assert all(len(message["data"]["b"]) == 1 for message in messages)


@pytest.mark.parametrize(("depth", "levels"), [(200, 200), (1000, 250)])
async def test_deeper_windows_have_their_own_ids(simulator: Simulator, depth: int, levels: int) -> None:
    """`u` rises by one with each message of the topic, whatever the other depths do."""
    async with open_socket(_url(simulator, "spot")) as socket:
        await _subscribe(socket, f"orderbook.{depth}.BTCUSDT")
        messages = [await socket.hear() for _ in range(6)]

    ids = [message["data"]["u"] for message in messages]
    assert ids == list(range(ids[0], ids[0] + 6))
    assert len(messages[0]["data"]["a"]) == pytest.approx(levels, abs=0 if depth == 200 else 20)


async def test_linear_tickers_send_only_what_changed(simulator: Simulator) -> None:
    """A snapshot of all fields, then deltas; merged they equal the snapshot of one who comes later."""
    async with open_socket(_url(simulator, "linear")) as socket:
        await _subscribe(socket, "tickers.BTCUSDT")
        snapshot = await socket.hear()
        merged = dict(snapshot["data"])
        assert snapshot["type"] == "snapshot"
        assert {"fundingRate", "nextFundingTime", "fundingIntervalHour", "markPrice", "indexPrice"} <= set(merged)
        for _ in range(5):
            delta = await socket.hear()
            assert (delta["type"], list(delta)) == ("delta", ["topic", "type", "data", "cs", "ts"])
            assert "fundingRate" not in delta["data"] or delta["data"]["fundingRate"] != merged["fundingRate"]
            merged |= delta["data"]
        async with open_socket(_url(simulator, "linear")) as late:
            await _subscribe(late, "tickers.BTCUSDT")
            fresh = (await late.hear())["data"]
            states = [merged]
            while fresh not in states and len(states) < 20:
                states.append(states[-1] | (await socket.hear())["data"])

    assert fresh in states


async def test_spot_tickers_are_snapshots_without_bid_and_ask(simulator: Simulator) -> None:
    """Spot has no deltas and no touch in its ticker."""
    async with open_socket(_url(simulator, "spot")) as socket:
        await _subscribe(socket, "tickers.BTCUSDT")
        messages = [await socket.hear() for _ in range(3)]

    assert {message["type"] for message in messages} == {"snapshot"}
    assert not any(name.startswith(("bid1", "ask1")) for name in messages[0]["data"])


async def test_rest_shares_ids_with_the_thousand_level_topic(simulator: Simulator) -> None:
    """REST's `u` and levels are those of orderbook.1000, so that topic can be bridged to it."""
    async with open_socket(_url(simulator, "linear")) as socket:
        await _subscribe(socket, "orderbook.1000.BTCUSDT")
        first = (await socket.hear())["data"]
        body, _ = await get(_rest(simulator, "orderbook?category=linear&symbol=BTCUSDT&limit=1000"))
        book, local = PlainBook(first["b"], first["a"]), first["u"]
        while local < body["result"]["u"]:
            data = (await socket.hear())["data"]
            book.apply(data)
            local = data["u"]

    assert local == body["result"]["u"]
    assert book.sides == PlainBook(body["result"]["b"], body["result"]["a"]).sides


async def test_linear_instruments_come_in_pages(simulator: Simulator) -> None:
    """The cursor leads through all pages; spot has one page; rows that no reader should take are among them."""
    rows, cursor, pages = [], "", 0
    while True:
        body, _ = await get(_rest(simulator, f"instruments-info?category=linear&limit=2&cursor={cursor}"))
        rows += body["result"]["list"]
        cursor, pages = body["result"]["nextPageCursor"], pages + 1
        if not cursor:
            break
    spot, _ = await get(_rest(simulator, "instruments-info?category=spot&limit=2"))
    one, _ = await get(_rest(simulator, "instruments-info?category=linear&symbol=ETHUSDT"))

    assert (pages, len(rows), len({row["symbol"] for row in rows})) == (4, 7, 7)
    assert rows[0]["fundingInterval"] == 480
    assert rows[0]["lotSizeFilter"]["qtyStep"] == "0.001"
    assert {row["status"] for row in rows} == {"Trading", "PreLaunch"}
    assert len(spot["result"]["list"]) == 4
    assert [row["symbol"] for row in one["result"]["list"]] == ["ETHUSDT"]


async def test_errors_are_http_200_with_a_code(simulator: Simulator) -> None:
    """A bad parameter is retCode 10001 in the usual envelope."""
    for path in [
        "orderbook?category=linear&symbol=NOPE",
        "orderbook?category=linear&symbol=BTCUSDT&limit=1001",
        "tickers?category=linear&symbol=NOPE",
        "tickers",
        "instruments-info?category=linear&cursor=x",
    ]:
        body, headers = await get(_rest(simulator, path))
        assert (body["retCode"], body["result"]) == (10001, {})
        assert "X-Bapi-Limit" in headers


async def test_rest_tickers_and_time(simulator: Simulator) -> None:
    """Tickers of all or one symbol, spot with its touch; the clock in seconds and nanoseconds."""
    linear, _ = await get(_rest(simulator, "tickers?category=linear"))
    spot, _ = await get(_rest(simulator, "tickers?category=spot&symbol=BTCUSDT"))
    clock, _ = await get(_rest(simulator, "time"))

    assert [row["symbol"] for row in linear["result"]["list"]] == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
    assert float(spot["result"]["list"][0]["bid1Price"]) < float(spot["result"]["list"][0]["ask1Price"])
    assert int(clock["result"]["timeNano"]) // 1_000_000_000 == int(clock["result"]["timeSecond"])


async def test_funding_history_ends_with_the_newest(simulator: Simulator) -> None:
    """At most 200, descending, from the end of the span; a start alone is refused."""
    hour_ms = 3_600_000
    hours = simulator.market.legs["bybit", "perp", "BTCUSDT"].listing.funding_interval_hours or 0
    end_ms = 1_795_564_800_000 // (hours * hour_ms) * hours * hour_ms
    path = "/v5/market/funding/history?category=linear&symbol=BTCUSDT"
    async with aiohttp.ClientSession(simulator.urls["BYBIT_REST_URL"]) as http:
        async with http.get(f"{path}&startTime={end_ms - 10_000 * hour_ms}&endTime={end_ms}&limit=200") as answer:
            rows = (await answer.json())["result"]["list"]
        async with http.get(f"{path}&startTime=1") as answer:
            refused = await answer.json()
    assert [int(row["fundingRateTimestamp"]) for row in rows] == [end_ms - n * hours * hour_ms for n in range(200)]
    assert refused["retCode"] == 10001 and "endTime" in refused["retMsg"]
