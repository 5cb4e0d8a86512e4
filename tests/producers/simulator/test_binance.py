"""Binance's servers over real sockets: paths, envelopes, acknowledgements, streams, pings, limits, REST."""

import asyncio
from itertools import pairwise
from typing import Any

import aiohttp
import orjson
import pytest

from producers.simulator.binance_streams import parse_stream_name
from producers.simulator.settings import SimulatorSettings
from producers.simulator.simulator import Simulator
from tests.producers.simulator.clients import Socket, get, open_socket

SILENCE_S = 0.6


def _spot(simulator: Simulator, path: str) -> str:
    return simulator.urls["BINANCE_SPOT_WS_URL"] + path


def _perp(simulator: Simulator, path: str) -> str:
    return simulator.urls["BINANCE_PERP_WS_URL"] + path


async def _is_silent(socket: Socket) -> bool:
    try:
        await socket.hear(SILENCE_S)
    except TimeoutError:
        return True
    return False


@pytest.mark.parametrize(
    ("name", "market", "expected"),
    [
        ("btcusdt@depth", "spot", ("BTCUSDT", "depth", None, 1000, "public")),
        ("btcusdt@depth@100ms", "spot", ("BTCUSDT", "depth", None, 100, "public")),
        ("btcusdt@depth@0ms", "spot", None),
        ("btcusdt@depth", "perp", ("BTCUSDT", "depth", None, 250, "public")),
        ("btcusdt@depth@0ms", "perp", ("BTCUSDT", "depth", None, 0, "public")),
        ("btcusdt@depth20@100ms", "perp", ("BTCUSDT", "partial", 20, 100, "public")),
        ("btcusdt@depth20@0ms", "perp", None),
        ("btcusdt@bookTicker", "spot", ("BTCUSDT", "bookTicker", None, 0, "public")),
        ("btcusdt@bookTicker@100ms", "spot", None),
        ("btcusdt@markPrice", "perp", ("BTCUSDT", "markPrice", None, 3000, "market")),
        ("btcusdt@markPrice@1s", "perp", ("BTCUSDT", "markPrice", None, 1000, "market")),
        ("!markPrice@arr@1s", "perp", ("", "markPriceArray", None, 1000, "market")),
        ("btcusdt@markPrice@1s", "spot", None),
        ("BTCUSDT@depth", "spot", None),
        ("btcusdt@trade", "spot", None),
    ],
)
def test_stream_names_are_those_of_the_venue(name: str, market: str, expected: Any) -> None:
    """Speeds differ per market, symbols are lower case, and what is not served has no meaning."""
    parsed = parse_stream_name(name, market)

    assert (parsed and (parsed.symbol, parsed.kind, parsed.levels, parsed.every_ms, parsed.route)) == expected


async def test_the_path_decides_on_the_envelope(simulator: Simulator) -> None:
    """`/stream` wraps even one stream, `/ws` never does, even for two."""
    async with open_socket(_spot(simulator, "/stream?streams=btcusdt@depth@100ms")) as combined:
        message = await combined.hear()
        assert list(message) == ["stream", "data"]
        assert message["stream"] == "btcusdt@depth@100ms"
        assert list(message["data"]) == ["e", "E", "s", "U", "u", "b", "a"]
    async with open_socket(_spot(simulator, "/ws/btcusdt@depth@100ms/ethusdt@depth@100ms")) as raw:
        assert {(await raw.hear())["e"] for _ in range(4)} == {"depthUpdate"}


async def test_a_comma_between_streams_fails_the_handshake(simulator: Simulator) -> None:
    """Only `/` separates streams."""
    with pytest.raises(aiohttp.WSServerHandshakeError):
        async with open_socket(_spot(simulator, "/stream?streams=btcusdt@depth,ethusdt@depth")):
            pass


async def test_compression_is_not_offered(simulator: Simulator) -> None:
    """A client that asks for permessage-deflate goes without."""
    async with open_socket(_spot(simulator, "/ws"), compress=15) as socket:
        assert socket.ws.compress == 0


async def test_control_frames_are_answered(simulator: Simulator) -> None:
    """SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS and the property calls have the venue's answers."""
    async with open_socket(_perp(simulator, "/public/ws")) as socket:
        names = ["btcusdt@depth@500ms", "nopeusdt@depth"]
        assert await socket.ask({"method": "SUBSCRIBE", "params": names, "id": 1}) == {"result": None, "id": 1}
        listed = await socket.ask({"method": "LIST_SUBSCRIPTIONS", "id": 2})
        assert sorted(listed["result"]) == sorted(names)
        assert (await socket.ask({"method": "GET_PROPERTY", "params": ["combined"], "id": 3}))["result"] is False
        await socket.ask({"method": "SET_PROPERTY", "params": ["combined", True], "id": 4})
        assert "stream" in await socket.hear()
        assert await socket.ask({"method": "UNSUBSCRIBE", "params": names, "id": 5}) == {"result": None, "id": 5}
        assert await _is_silent(socket)


async def test_bad_control_frames_get_error_bodies(simulator: Simulator) -> None:
    """No JSON is code 3, an unknown method or too many streams code 2."""
    async with open_socket(_spot(simulator, "/ws")) as socket:
        await socket.ws.send_str("{")
        assert (await socket.hear())["code"] == 3
        await socket.say([1])
        assert (await socket.hear())["code"] == 2
        assert (await socket.ask({"method": "DANCE", "id": 7}))["code"] == 2
        many = [f"s{number}@depth" for number in range(1025)]
        assert (await socket.ask({"method": "SUBSCRIBE", "params": many, "id": 8}))["code"] == 2


async def test_a_stream_on_the_wrong_route_is_acknowledged_and_never_sends(simulator: Simulator) -> None:
    """markPrice lives on /market, depth on /public; the paths without a route are /public."""
    for path, name in [
        ("/public/ws", "btcusdt@markPrice@1s"),
        ("/market/ws", "btcusdt@depth@0ms"),
        ("/ws", "btcusdt@markPrice@1s"),
    ]:
        async with open_socket(_perp(simulator, path)) as socket:
            answer = await socket.ask({"method": "SUBSCRIBE", "params": [name], "id": 1})
            assert answer == {"result": None, "id": 1}
            assert await _is_silent(socket)
    async with open_socket(_perp(simulator, "/stream?streams=btcusdt@depth@100ms")) as socket:
        assert (await socket.hear())["data"]["e"] == "depthUpdate"


async def test_perp_depth_has_todays_keys_and_a_chain(simulator: Simulator) -> None:
    """Events have T, ps, st and pu; pu is the last u, while U does not follow on it."""
    async with open_socket(_perp(simulator, "/public/stream?streams=btcusdt@depth@0ms")) as socket:
        events = [(await socket.hear())["data"] for _ in range(30)]

    assert list(events[0]) == ["e", "E", "T", "s", "ps", "st", "U", "u", "pu", "b", "a"]
    assert [event["pu"] for event in events[1:]] == [event["u"] for event in events[:-1]]
    assert any(event["U"] > event["pu"] + 1 for event in events)
    assert all(event["T"] <= event["E"] for event in events)


async def test_mark_price_says_rate_and_next_settlement(simulator: Simulator) -> None:
    """Once a second `r` and `T` on the market route, alone or for all symbols in one array."""
    url = _perp(simulator, "/market/stream?streams=solusdt@markPrice@1s/!markPrice@arr@1s")
    async with open_socket(url) as socket:
        heard = {message["stream"]: message["data"] for message in [await socket.hear(), await socket.hear()]}

    event = heard["solusdt@markPrice@1s"]
    assert list(event) == ["e", "E", "s", "p", "ap", "i", "P", "r", "T", "st"]
    assert event["T"] > event["E"]
    assert event["T"] % (4 * 3_600_000) == 0
    assert float(event["p"]) == pytest.approx(float(event["i"]), rel=1e-3)
    assert [row["s"] for row in heard["!markPrice@arr@1s"]] == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]


async def test_partial_depth_is_the_top_of_the_book(simulator: Simulator) -> None:
    """Spot partial depth has no symbol and no time; USD-M gives it the keys of a diff in the diff's id space."""
    async with open_socket(_spot(simulator, "/ws/btcusdt@depth5@100ms")) as socket:
        partial = await socket.hear()
        true = simulator.true_book("binance", "spot", "BTCUSDT", partial["lastUpdateId"])
    assert list(partial) == ["lastUpdateId", "bids", "asks"]
    assert [tuple(level) for level in partial["bids"]] == true.bids[:5]

    async with open_socket(_perp(simulator, "/public/ws/btcusdt@depth20@100ms")) as socket:
        partial = await socket.hear()
        true = simulator.true_book("binance", "perp", "BTCUSDT", partial["u"])
    assert partial["e"] == "depthUpdate"
    assert [tuple(level) for level in partial["a"]] == true.asks[:20]


async def test_book_ticker_speaks_when_the_touch_changes(simulator: Simulator) -> None:
    """Two messages in a row never say the same touch; spot's has no times."""
    async with open_socket(_spot(simulator, "/ws/btcusdt@bookTicker")) as socket:
        spot = [await socket.hear() for _ in range(5)]
    async with open_socket(_perp(simulator, "/public/ws/btcusdt@bookTicker")) as socket:
        perp = await socket.hear()

    touches = [tuple(ticker[key] for key in "bBaA") for ticker in spot]
    assert all(a != b for a, b in pairwise(touches))
    assert list(spot[0]) == ["u", "s", "b", "B", "a", "A"]
    assert list(perp) == ["e", "u", "s", "ps", "b", "B", "a", "A", "T", "E", "st"]


async def test_the_server_pings_and_cuts_who_does_not_answer() -> None:
    """Pings come at their interval; without pongs the connection is gone after the venue's patience."""
    quick = SimulatorSettings(pairs=1, binance_spot_ping_s=0.1, binance_perp_ping_s=0.1, binance_pong_timeout_s=0.5)
    async with Simulator(quick) as simulator:
        async with open_socket(_spot(simulator, "/ws"), autoping=False) as socket:
            for _ in range(8):
                ping = await socket.ws.receive(timeout=5)
                assert ping.type is aiohttp.WSMsgType.PING
                await socket.ws.pong(ping.data)
                await asyncio.sleep(0.15)
        async with open_socket(_perp(simulator, "/public/ws"), autoping=False) as silent:
            kinds = [(await silent.ws.receive(timeout=5)).type]
            while kinds[-1] is aiohttp.WSMsgType.PING:
                kinds.append((await silent.ws.receive(timeout=5)).type)
            assert kinds[-1] in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


async def test_a_clients_ping_gets_its_payload_back(simulator: Simulator) -> None:
    """Protocol pings of the client are answered with the same payload."""
    async with open_socket(_spot(simulator, "/ws"), autoping=False) as socket:
        await socket.ws.ping(b"abc")
        pong = await socket.ws.receive(timeout=5)

    assert (pong.type, pong.data) == (aiohttp.WSMsgType.PONG, b"abc")


async def test_a_client_that_talks_too_much_is_disconnected(simulator: Simulator) -> None:
    """Spot takes five messages a second, then it closes with a policy violation."""
    async with open_socket(_spot(simulator, "/ws")) as socket:
        for number in range(8):
            await socket.say({"method": "LIST_SUBSCRIPTIONS", "id": number})
        heard = await socket.ws.receive(timeout=5)
        while heard.type is aiohttp.WSMsgType.TEXT:
            heard = await socket.ws.receive(timeout=5)

    assert (heard.type, heard.data) == (aiohttp.WSMsgType.CLOSE, 1008)


@pytest.mark.parametrize(
    ("market", "query", "weight", "levels"),
    [
        ("spot", "limit=5", 5, 5),
        ("spot", "", 5, 100),
        ("spot", "limit=500", 25, 250),
        ("spot", "limit=1000", 50, 250),
        ("spot", "limit=9999", 250, 250),
        ("perp", "limit=5", 2, 5),
        ("perp", "limit=100", 5, 100),
        ("perp", "", 10, 250),
        ("perp", "limit=1000", 20, 250),
    ],
)
async def test_depth_costs_its_weight(simulator: Simulator, market: str, query: str, weight: int, levels: int) -> None:
    """The header counts what the limit costs, and the levels are as many as asked for and there are."""
    rest = simulator.urls["BINANCE_SPOT_REST_URL"] + "/api/v3" if market == "spot" else ""
    rest = rest or simulator.urls["BINANCE_PERP_REST_URL"] + "/fapi/v1"
    _, before = await get(f"{rest}/time")
    depth, after = await get(f"{rest}/depth?symbol=BTCUSDT&{query}")

    assert int(after["X-MBX-USED-WEIGHT-1M"]) - int(before["X-MBX-USED-WEIGHT-1M"]) in (weight, weight - 1)
    assert len(depth["bids"]) == pytest.approx(levels, abs=20 if levels == 250 else 0)
    assert list(depth) == (
        ["lastUpdateId", "bids", "asks"] if market == "spot" else ["lastUpdateId", "E", "T", "bids", "asks"]
    )


async def test_refusals_have_the_venues_codes(simulator: Simulator) -> None:
    """No symbol, an unknown one, a limit that is none: HTTP 400 with code and message."""
    spot, perp = simulator.urls["BINANCE_SPOT_REST_URL"], simulator.urls["BINANCE_PERP_REST_URL"]
    for url, code in [
        (f"{spot}/api/v3/depth", -1102),
        (f"{spot}/api/v3/depth?symbol=NOPEUSDT", -1121),
        (f"{spot}/api/v3/depth?symbol=BTCUSDT&limit=x", -1100),
        (f"{perp}/fapi/v1/depth?symbol=BTCUSDT&limit=7", -4021),
    ]:
        body, _ = await get(url, expect=400)
        assert body["code"] == code


async def test_too_much_weight_is_answered_with_429(simulator: Simulator) -> None:
    """Above 2,400 a minute: Retry-After in seconds and code -1003."""
    perp = simulator.urls["BINANCE_PERP_REST_URL"]
    async with aiohttp.ClientSession() as http:
        for _ in range(250):
            async with http.get(f"{perp}/fapi/v1/depth?symbol=BTCUSDT&limit=1000") as response:
                if response.status == 429:
                    body = orjson.loads(await response.read())
                    break

    assert body["code"] == -1003
    assert 1 <= int(response.headers["Retry-After"]) <= 60


async def test_the_lists_hold_filters_and_rows_to_leave_out(simulator: Simulator) -> None:
    """exchangeInfo names tick, step and minimum, and lists what no reader should take besides."""
    spot, _ = await get(f"{simulator.urls['BINANCE_SPOT_REST_URL']}/api/v3/exchangeInfo")
    perp, _ = await get(f"{simulator.urls['BINANCE_PERP_REST_URL']}/fapi/v1/exchangeInfo")
    spot_btc, perp_btc = spot["symbols"][0], perp["symbols"][0]
    filters = {row["filterType"]: row for row in perp_btc["filters"]}

    assert spot_btc["filters"][0]["tickSize"] == "0.01000000"
    assert (filters["PRICE_FILTER"]["tickSize"], filters["LOT_SIZE"]["stepSize"]) == ("0.1", "0.001")
    assert filters["MIN_NOTIONAL"]["notional"] == "5"
    assert {row["status"] for row in spot["symbols"]} == {"TRADING", "BREAK"}
    assert {row["contractType"] for row in perp["symbols"]} == {"PERPETUAL", "TRADIFI_PERPETUAL", "CURRENT_QUARTER"}
    assert perp["rateLimits"][0]["limit"] == 2400


async def test_funding_info_lists_only_adjusted_symbols(simulator: Simulator) -> None:
    """SOL settles every 4 hours and is there; BTC and ETH have the default and are not."""
    perp = simulator.urls["BINANCE_PERP_REST_URL"] + "/fapi/v1"
    info, _ = await get(f"{perp}/fundingInfo")
    one, _ = await get(f"{perp}/premiumIndex?symbol=BTCUSDT")
    every, _ = await get(f"{perp}/premiumIndex")

    assert [(row["symbol"], row["fundingIntervalHours"]) for row in info] == [("SOLUSDT", 4)]
    assert one["nextFundingTime"] % (8 * 3_600_000) == 0
    assert [row["symbol"] for row in every] == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]


async def test_tickers_and_time(simulator: Simulator) -> None:
    """The last 24 hours of one symbol or of all, and the venue's clock in ms."""
    spot = simulator.urls["BINANCE_SPOT_REST_URL"] + "/api/v3"
    one, _ = await get(f"{spot}/ticker/24hr?symbol=ETHUSDT")
    every, _ = await get(f"{spot}/ticker/24hr")
    clock, _ = await get(f"{spot}/time")

    assert float(one["lastPrice"]) == pytest.approx(3150, rel=0.05)
    assert len(every) == 3
    assert clock["serverTime"] > 1_700_000_000_000


async def test_funding_history_begins_with_the_oldest(simulator: Simulator) -> None:
    """Ascending from the start, at most the limit; without a start the newest 200."""
    hour_ms = 3_600_000
    hours = simulator.market.legs["binance", "perp", "BTCUSDT"].listing.funding_interval_hours or 0
    start_ms = 1_700_000_000_000 // (hours * hour_ms) * hours * hour_ms
    path = "/fapi/v1/fundingRate?symbol=BTCUSDT"
    async with aiohttp.ClientSession(simulator.urls["BINANCE_PERP_REST_URL"]) as http:
        async with http.get(f"{path}&startTime={start_ms}&limit=3") as answer:
            oldest = await answer.json()
        async with http.get(f"{path}&limit=1000") as answer:
            newest = await answer.json()
    assert [row["fundingTime"] for row in oldest] == [start_ms + n * hours * hour_ms for n in range(3)]
    assert oldest[0]["rateType"] == "Regular" and len(newest) == 200
