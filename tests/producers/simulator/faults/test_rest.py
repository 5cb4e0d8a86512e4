"""Faults of REST answers and of instruments over real sockets."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from producers.simulator.faults.active import Fault
from producers.simulator.simulator import Simulator
from tests.producers.simulator.clients import get, open_socket, poll

BINANCE = "/api/v3/depth?symbol=BTCUSDT&limit=5"
BYBIT = "/v5/market/orderbook?category=linear&symbol=BTCUSDT&limit=5"


def _url(simulator: Simulator, venue: str) -> str:
    return simulator.urls["BINANCE_SPOT_REST_URL"] + BINANCE if venue == "binance" else _bybit(simulator)


def _bybit(simulator: Simulator) -> str:
    return simulator.urls["BYBIT_REST_URL"] + BYBIT


async def _raw(url: str) -> tuple[int, dict[str, str], bytes]:
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status, dict(response.headers), await response.read()


@pytest.mark.parametrize(
    ("name", "venue", "status"),
    [("rest_429", "binance", 429), ("rest_429", "bybit", 429), ("rest_418", "binance", 418)],
)
async def test_too_many_requests_say_when_to_come_back(
    simulator: Simulator, name: str, venue: str, status: int
) -> None:
    """Retry-After holds the seconds that are left; after them the answer is good, and other markets always were."""
    fault = simulator.inject(name, venue, "spot" if venue == "binance" else None, duration_s=1.0)
    got, headers, body = await _raw(_url(simulator, venue))
    assert (got, headers["Retry-After"]) == (status, "1")
    assert venue == "bybit" or json.loads(body)["code"] == -1003
    await get(simulator.urls["BINANCE_PERP_REST_URL"] + "/fapi/v1/time")
    await poll(lambda: fault.end_ns)
    await get(_url(simulator, venue))


@pytest.mark.parametrize(
    ("name", "venue", "status"),
    [("region_451", "binance", 451), ("region_403", "binance", 403), ("region_403", "bybit", 403)],
)
async def test_a_region_is_refused_for_good(simulator: Simulator, name: str, venue: str, status: int) -> None:
    """The status is the venue's, and no Retry-After gives hope; the websocket works, as it was seen to."""
    simulator.inject(name, venue)
    got, headers, _ = await _raw(_url(simulator, venue))
    assert got == status
    assert "Retry-After" not in headers
    async with open_socket(simulator.urls["BYBIT_WS_URL"] + "/v5/public/spot"):
        pass


@pytest.mark.parametrize("venue", ["binance", "bybit"])
async def test_broken_answers(simulator: Simulator, venue: str) -> None:
    """5xx with a page for people; 200 with half a body, a page, nothing, or another shape; then all is well."""
    for status in (500, 502, 503, 504):
        fault = simulator.inject("rest_5xx", venue, status=status)
        assert (await _raw(_url(simulator, venue)))[0] == status
        await _end(fault)
    for how in ("truncated", "html", "empty", "other"):
        fault = simulator.inject("malformed_rest", venue, how=how)
        status, _, body = await _raw(_url(simulator, venue))
        assert (status, _shape(body)) == (200, list if how == "other" else None)
        await _end(fault)
    await get(_url(simulator, venue))


async def _end(fault: Fault) -> None:
    fault.until_step = 0
    await poll(lambda: fault.end_ns)


def _shape(body: bytes) -> type | None:
    try:
        return type(json.loads(body))
    except ValueError:
        return None


async def test_bybit_can_say_too_many_visits(simulator: Simulator) -> None:
    """HTTP 200 with return code 10006, of the asked market alone."""
    simulator.inject("rest_10006", "bybit", "perp")
    assert (await get(_bybit(simulator)))[0]["retCode"] == 10006
    assert (await get(_bybit(simulator).replace("linear", "spot")))[0]["retCode"] == 0


async def test_slow_answers_hold_what_was_true_when_asked(simulator: Simulator) -> None:
    """The snapshot is as old as the delay; the streams have gone on meanwhile."""
    simulator.inject("slow_rest", "binance", "spot", delay_s=0.6)
    loop = asyncio.get_running_loop()
    asked_s = loop.time()
    body, _ = await get(_url(simulator, "binance"))
    assert loop.time() - asked_s >= 0.6
    assert body["lastUpdateId"] < simulator._world.market.legs["binance", "spot", "BTCUSDT"].book.last_id


async def test_bybit_changes_the_funding_interval_everywhere_at_once(simulator: Simulator) -> None:
    """The ticker's delta has the hours and the next time, instruments-info the minutes."""
    async with open_socket(simulator.urls["BYBIT_WS_URL"] + "/v5/public/linear") as socket:
        await socket.say({"op": "subscribe", "args": ["tickers.BTCUSDT"]})
        snapshot = (await socket.hear_until("type", "snapshot"))[-1]["data"]
        simulator.inject("funding_interval_change", "bybit", "perp", "BTCUSDT", hours=1)
        changed: dict[str, Any] = {}
        while "fundingIntervalHour" not in changed:
            changed = (await socket.hear())["data"]
    assert (snapshot["fundingIntervalHour"], changed["fundingIntervalHour"]) == ("8", "1")
    url = simulator.urls["BYBIT_REST_URL"] + "/v5/market/instruments-info?category=linear&symbol=BTCUSDT"
    assert (await get(url))[0]["result"]["list"][0]["fundingInterval"] == 60


async def test_binance_tells_of_a_new_funding_interval_later(simulator: Simulator) -> None:
    """The next funding time moves at once, fundingInfo lists the symbol some seconds after; it stays so."""
    base = simulator.urls["BINANCE_PERP_REST_URL"]
    fault = simulator.inject("funding_interval_change", "binance", "perp", "BTCUSDT", duration_s=0.5, hours=1)
    premium, _ = await get(base + "/fapi/v1/premiumIndex?symbol=BTCUSDT")
    assert premium["nextFundingTime"] - premium["time"] <= 3_600_000
    assert "BTCUSDT" not in {row["symbol"] for row in (await get(base + "/fapi/v1/fundingInfo"))[0]}
    await poll(lambda: fault.end_ns)
    told = {row["symbol"]: row["fundingIntervalHours"] for row in (await get(base + "/fapi/v1/fundingInfo"))[0]}
    assert told["BTCUSDT"] == 1
    simulator.inject("funding_interval_change", "binance", "perp", "BTCUSDT", duration_s=0.0, hours=1)
    assert simulator._world.market.legs["binance", "perp", "BTCUSDT"].listing.funding_interval_hours == 2


async def test_a_delisted_instrument_falls_silent(simulator: Simulator) -> None:
    """Its lists give status and time, its streams stop, its book stands; others go on."""
    perp, bybit = simulator.urls["BINANCE_PERP_REST_URL"], simulator.urls["BYBIT_REST_URL"] + "/v5/market"
    url = simulator.urls["BINANCE_PERP_WS_URL"]
    async with open_socket(url + "/market/ws/!markPrice@arr@1s") as marks, open_socket(url + "/public/ws") as depth:
        for venue, market in (("binance", "perp"), ("binance", "spot"), ("bybit", "perp"), ("bybit", "spot")):
            leg = simulator._world.market.legs[venue, market, "ETHUSDT"]
            if market == "perp":
                simulator.inject("delisting", venue, market, "ETHUSDT")
            else:
                leg.halted_ms = 1
        await marks.hear()
        assert [row["s"] for row in await marks.hear()] == ["BTCUSDT", "SOLUSDT"]  # type: ignore[call-overload]
        await depth.ask({"method": "SUBSCRIBE", "params": ["ethusdt@depth@0ms", "btcusdt@depth@0ms"], "id": 1})
        assert {(await depth.hear())["s"] for _ in range(10)} == {"BTCUSDT"}
    rows = {row["symbol"]: row for row in (await get(perp + "/fapi/v1/exchangeInfo"))[0]["symbols"]}
    assert (rows["ETHUSDT"]["status"], rows["BTCUSDT"]["status"]) == ("SETTLING", "TRADING")
    assert rows["ETHUSDT"]["deliveryDate"] <= simulator._clock_ns() // 1_000_000
    spot = (await get(simulator.urls["BINANCE_SPOT_REST_URL"] + "/api/v3/exchangeInfo"))[0]["symbols"]
    assert {row["symbol"]: row["status"] for row in spot}["ETHUSDT"] == "BREAK"
    linear = (await get(f"{bybit}/instruments-info?category=linear&symbol=ETHUSDT"))[0]["result"]["list"]
    assert (linear[0]["status"], int(linear[0]["deliveryTime"]) > 0) == ("Closed", True)
    assert (await get(f"{bybit}/instruments-info?category=spot&symbol=ETHUSDT"))[0]["result"]["list"] == []
