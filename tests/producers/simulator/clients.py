"""The smallest clients that follow the venues' book recipes, sharing no code with our own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp

from producers.simulator.simulator import Simulator, TrueBook

RECEIVE_TIMEOUT_S = 20.0

Message = dict[str, Any]


class PlainBook:
    """The plainest book: exact price to exact size, a size of zero removes."""

    def __init__(self, bids: list[list[str]], asks: list[list[str]]) -> None:
        self.sides = {"b": _numbers(bids), "a": _numbers(asks)}

    def apply(self, changes: Message) -> None:
        """Set the absolute sizes of the changed levels; an unknown level that goes is nothing."""
        for name, side in self.sides.items():
            for price, size in changes[name]:
                if Decimal(size):
                    side[Decimal(price)] = Decimal(size)
                else:
                    side.pop(Decimal(price), None)

    def equals(self, true: TrueBook) -> bool:
        """Whether it is the venue's own book."""
        return self.sides == {"b": _numbers(true.bids), "a": _numbers(true.asks)}


def _numbers(levels: Any) -> dict[Decimal, Decimal]:
    return {Decimal(price): Decimal(size) for price, size in levels}


class Socket:
    """A websocket that is asked for one JSON message at a time."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def say(self, message: Any) -> None:
        """Send JSON."""
        await self.ws.send_str(json.dumps(message))

    async def hear(self, timeout_s: float = RECEIVE_TIMEOUT_S) -> Message:
        """The next message; fails if the venue says nothing in time or closes."""
        text = await self.ws.receive_str(timeout=timeout_s)
        message: Message = json.loads(text)
        return message

    async def hear_until(self, key: str, value: Any) -> list[Message]:
        """Messages up to and including the first whose `key` is `value`."""
        heard = [await self.hear()]
        while heard[-1].get(key) != value:
            heard.append(await self.hear())
        return heard

    async def ask(self, message: Message) -> Message:
        """Send a Binance control frame and hear its answer, whatever comes before it."""
        await self.say(message)
        return (await self.hear_until("id", message["id"]))[-1]


@asynccontextmanager
async def open_socket(url: str, **options: Any) -> AsyncIterator[Socket]:
    """A connected socket."""
    async with aiohttp.ClientSession() as http, http.ws_connect(url, **options) as ws:
        yield Socket(ws)


async def get(url: str, expect: int = 200) -> tuple[Any, Any]:
    """The JSON body and the headers of a REST answer with the expected status."""
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        body = await response.json()
        assert response.status == expect, body
        return body, response.headers


async def poll(condition: Any, timeout_s: float = RECEIVE_TIMEOUT_S) -> None:
    """Wait until a condition holds; fail after the timeout."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.02)


async def follow_binance(
    simulator: Simulator, market: str, symbol: str, events: int, speed: str = "100ms", lose_after: int | None = None
) -> None:
    """Keep a Binance book by its recipe (spot or USD-M) and compare it with the truth at each event."""
    prefix = "BINANCE_SPOT" if market == "spot" else "BINANCE_PERP"
    path = "/stream" if market == "spot" else "/public/stream"
    async with open_socket(f"{simulator.urls[f'{prefix}_WS_URL']}{path}?streams={symbol.lower()}@depth@{speed}") as ws:
        first = (await ws.hear())["data"]
        rest = "/api/v3/depth" if market == "spot" else "/fapi/v1/depth"
        snapshot, _ = await get(f"{simulator.urls[f'{prefix}_REST_URL']}{rest}?symbol={symbol}&limit=1000")
        book = PlainBook(snapshot["bids"], snapshot["asks"])
        local, applied, event = snapshot["lastUpdateId"], 0, first
        while applied < events:
            if event["u"] > local:
                if market == "spot":
                    assert event["U"] <= local + 1
                else:
                    assert event["pu"] == local or (applied == 0 and event["pu"] <= local <= event["u"])
                book.apply(event)
                local, applied = event["u"], applied + 1
                assert book.equals(simulator.true_book("binance", market, symbol, local))
                if applied == lose_after:
                    simulator.skip_next_frame("binance", market, symbol)
            event = (await ws.hear())["data"]


async def follow_bybit(
    simulator: Simulator, market: str, symbol: str, deltas: int, lose_after: int | None = None
) -> None:
    """Keep a Bybit book from its snapshot and deltas and compare it with the truth at each `u`."""
    category = "spot" if market == "spot" else "linear"
    async with open_socket(f"{simulator.urls['BYBIT_WS_URL']}/v5/public/{category}") as ws:
        await ws.say({"op": "subscribe", "args": [f"orderbook.50.{symbol}"]})
        assert (await ws.hear())["success"]
        snapshot = await ws.hear()
        assert snapshot["type"] == "snapshot"
        book, local = PlainBook(snapshot["data"]["b"], snapshot["data"]["a"]), snapshot["data"]["u"]
        for applied in range(deltas):
            if applied == lose_after:
                simulator.skip_next_frame("bybit", market, symbol)
            data = (await ws.hear())["data"]
            assert data["u"] == local + 1
            book.apply(data)
            local = data["u"]
            assert book.equals(simulator.true_book("bybit", market, symbol, local))
            assert {name: len(side) for name, side in book.sides.items()} == {"b": 50, "a": 50}
