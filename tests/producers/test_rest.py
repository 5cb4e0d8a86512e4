"""REST against a real server: what each way to fail is called, and what it does to the budget."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from mts_stream.errors import VenueError
from mts_stream.exchanges.binance import BinancePerp
from mts_stream.exchanges.bybit import BybitSpot
from mts_stream.exchanges.venue import VenueMarket
from producers import rest as rest_module
from producers.budget import WeightBudget
from producers.rest import (
    BadAnswerError,
    RateLimitedError,
    RegionRefusedError,
    RequestRefusedError,
    RestClient,
    VenueFailedError,
    VenueUnreachableError,
)

BOOK = b'{"lastUpdateId":7,"bids":[["1","2"]],"asks":[]}'


class Venue:
    """A server that answers what the test says."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, BOOK, {}
        self.asked: list[str] = []
        self.url = ""
        self.session: aiohttp.ClientSession

    async def answer(self, request: web.Request) -> web.Response:
        """The answer set."""
        self.asked.append(request.path_qs)
        return web.Response(status=self.status, body=self.body, headers=self.headers)

    def client(self, market: VenueMarket | None = None, url: str | None = None) -> RestClient:
        """A client of it."""
        budget = WeightBudget(2400, 0.5)
        return RestClient(market or BinancePerp(), url or self.url, "THE_URL", self.session, budget)


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    """A venue that runs."""
    server = Venue()
    app = web.Application()
    app.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession() as session:
        server.session = session
        yield server
    await runner.cleanup()


async def fetch(client: RestClient) -> Any:
    """A book."""
    return await client.get(client.market.snapshot_request("BTCUSDT"), client.market.parse_snapshot)


async def test_an_answer_is_parsed_and_its_weight_noted(venue: Venue) -> None:
    """The venue's own count steers the budget."""
    venue.headers = {"X-MBX-USED-WEIGHT-1M": "2399"}
    client = venue.client()
    assert (await fetch(client)).last_id == 7
    assert venue.asked == ["/fapi/v1/depth?symbol=BTCUSDT&limit=1000"]
    assert client.budget.wait_s(rest_module.time.time(), 20) > 0


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (400, b'{"code":-1121,"msg":"Invalid symbol."}', RequestRefusedError, "HTTP 400: -1121 Invalid symbol."),
        (429, b'{"code":-1003,"msg":"Too many"}', RateLimitedError, "next try in 10 s"),
        (418, b"", RateLimitedError, "next try in 600 s"),
        (451, b"Unavailable", RegionRefusedError, "set THE_URL to another host"),
        (403, b"<html>WAF", RegionRefusedError, "set THE_URL to another host"),
        (503, b"<html>", VenueFailedError, "HTTP 503"),
        (200, b"<html>", BadAnswerError, "unreadable answer"),
        (200, b'{"lastUpdateId":"x"}', BadAnswerError, "unreadable answer"),
    ],
)
async def test_each_failure_has_its_error(venue: Venue, status: int, body: bytes, error: Any, words: str) -> None:
    """One line with venue, market, address and what was said."""
    venue.status, venue.body = status, body
    with pytest.raises(error, match=words) as caught:
        await fetch(venue.client())
    assert str(caught.value).startswith(f"binance perp {venue.url}/fapi/v1/depth: ")
    assert isinstance(caught.value, VenueError)


async def test_retry_after_pauses_every_request(venue: Venue) -> None:
    """Nobody asks before the venue wants to be asked."""
    venue.status, venue.headers = 429, {"Retry-After": "17"}
    client = venue.client()
    with pytest.raises(RateLimitedError) as caught:
        await fetch(client)
    assert caught.value.retry_after_s == 17
    assert client.budget.wait_s(rest_module.time.time(), 0) > 15


async def test_bybit_says_errors_with_http_200(venue: Venue) -> None:
    """A retCode; too many visits is a rate limit, and so is its 403."""
    venue.body = b'{"retCode":10001,"retMsg":"params error","result":{}}'
    with pytest.raises(RequestRefusedError, match="10001 params error"):
        await fetch(venue.client(BybitSpot()))
    venue.body = b'{"retCode":10006,"retMsg":"Too many visits!"}'
    with pytest.raises(RateLimitedError):
        await fetch(venue.client(BybitSpot()))
    venue.status, venue.body = 403, b"access too frequent"
    with pytest.raises(RateLimitedError, match="600 s"):
        await fetch(venue.client(BybitSpot()))


async def test_no_server_is_an_error_that_names_the_setting(venue: Venue, unused_tcp_port: int) -> None:
    """Refused at once."""
    with pytest.raises(VenueUnreachableError, match="check THE_URL"):
        await fetch(venue.client(url=f"http://127.0.0.1:{unused_tcp_port}"))


async def test_a_server_that_does_not_answer_is_left(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the timeout."""
    monkeypatch.setattr(rest_module, "TIMEOUT_S", 0.0001)
    with pytest.raises(VenueUnreachableError, match="no answer within"):
        await fetch(venue.client())


async def test_a_request_waits_for_its_weight(venue: Venue) -> None:
    """It goes when the pause is over, not before."""
    client = venue.client()
    client.budget.pause(rest_module.time.time(), 0.2)
    began_s = rest_module.time.monotonic()
    await fetch(client)
    assert rest_module.time.monotonic() - began_s >= 0.19
