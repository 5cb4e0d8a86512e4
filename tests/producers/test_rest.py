"""REST against a real server: what each way to fail is called, and what it does to the budget."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from mts_stream.errors import VenueError
from mts_stream.exchanges.binance import BinancePerp
from mts_stream.exchanges.bybit import BybitSpot
from mts_stream.exchanges.venue import RequestLimit, RestRequest, VenueMarket
from mts_stream.settings import load_settings
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
    rest_clients,
)

BOOK = b'{"lastUpdateId":7,"bids":[["1","2"]],"asks":[]}'


class Venue:
    """A server that answers what the test says."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, BOOK, {}
        self.asked: list[str] = []
        self.answers_after_s = 0.0
        self.url = ""
        self.session: aiohttp.ClientSession

    async def answer(self, request: web.Request) -> web.Response:
        """The answer set."""
        self.asked.append(request.path_qs)
        await asyncio.sleep(self.answers_after_s)
        return web.Response(status=self.status, body=self.body, headers=self.headers)

    def client(self, market: VenueMarket | None = None, url: str | None = None) -> RestClient:
        """A client of it."""
        market = market or BinancePerp()
        budget = WeightBudget(RequestLimit(2400), 0.5)
        pools = {name: WeightBudget(limit, 0.5) for name, limit in market.rest_limits.pools.items()}
        return RestClient(market, url or self.url, "THE_URL", self.session, budget, pools)


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
        (400, b'{"code":-1001,"msg":"Internal error"}', VenueFailedError, "-1001"),
        (403, b'{"code":-1003,"msg":"banned"}', RateLimitedError, "next try in 600 s"),
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


@pytest.mark.parametrize(
    ("header", "low_s", "high_s"),
    [
        ("17", 17, 17), ("date+40", 37, 41), ("date-40", 1, 1), ("soon", 10, 10), ("\u00b2", 10, 10),
        ("9" * 12, 259_200, 259_200),
    ],
)  # fmt: skip
async def test_retry_after_is_seconds_or_a_date(venue: Venue, header: str, low_s: float, high_s: float) -> None:
    """What cannot be read is 10 s; nothing is longer than Binance's longest ban."""
    if header.startswith("date"):
        until = datetime.fromtimestamp(time.time() + float(header[4:]), UTC)
        header = format_datetime(until, usegmt=True)
    venue.status, venue.headers = 429, {"Retry-After": header}
    with pytest.raises(RateLimitedError) as caught:
        await fetch(venue.client())
    assert low_s <= caught.value.retry_after_s <= high_s


async def test_a_refused_region_is_asked_ever_less_often(venue: Venue) -> None:
    """A minute, two, four; nothing goes meanwhile; an answer begins anew."""
    client = venue.client()
    for wait_s in (60, 120, 240):
        venue.status = 451
        client.budget = WeightBudget(RequestLimit(2400), 0.5)
        with pytest.raises(RegionRefusedError, match=f"next try in {wait_s} s"):
            await fetch(client)
        assert client.budget.wait_s(time.time(), 0) > wait_s - 2
    venue.status, client.budget = 200, WeightBudget(RequestLimit(2400), 0.5)
    await fetch(client)
    venue.status = 403
    with pytest.raises(RegionRefusedError, match="next try in 60 s"):
        await fetch(client)


async def test_an_answer_without_end_is_left(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded whatever a host sends."""
    monkeypatch.setattr(rest_module, "BODY_BYTES_MAX", 2**20)
    venue.body = b" " * (2**20 + 1)
    with pytest.raises(BadAnswerError, match="more than 1 MiB"):
        await fetch(venue.client())


async def test_requests_go_in_the_order_they_came(venue: Venue) -> None:
    """A heavy one is not kept out by light ones that came after it."""
    client = venue.client()
    client.budget = WeightBudget(RequestLimit(20, 0.3), 1.0)
    requests = [RestRequest(f"/{weight}/{number}", weight=weight) for number, weight in enumerate((10, 20, 10, 10))]
    await asyncio.gather(*(client.get(request, bytes) for request in requests))
    assert venue.asked == ["/10/0", "/20/1", "/10/2", "/10/3"]


async def test_funding_has_a_limit_of_its_own(venue: Venue) -> None:
    """fundingInfo and fundingRate share 500 in 5 minutes, whatever else is asked for."""
    client = venue.client()
    venue.body = b"[]"
    client.pools["funding"] = WeightBudget(RequestLimit(2, 0.4), 1.0)
    began_s = time.monotonic()
    for _ in range(3):
        await client.get(client.market.funding_history_request("BTCUSDT", 1, 2), client.market.parse_funding_history)
    assert 0.3 < time.monotonic() - began_s < 5
    assert client.budget.left(time.time()) == client.budget.allowed


def test_markets_of_one_host_share_its_budget() -> None:
    """Bybit counts requests per address, spot and linear together; Binance's two hosts count apart."""
    session: Any = None
    spot, perp, bybit_spot, bybit_perp = rest_clients(load_settings(), session)
    assert bybit_spot.budget is bybit_perp.budget and spot.budget is not perp.budget
    assert (spot.budget.allowed, perp.budget.allowed, bybit_spot.budget.allowed) == (3000, 1200, 300)
    assert perp.pools["funding"].allowed == 250 and bybit_perp.budget.window_s == 5


async def test_bybit_says_errors_with_http_200(venue: Venue) -> None:
    """A retCode; too many visits is a rate limit, and so is its 403."""
    venue.body = b'{"retCode":10001,"retMsg":"params error","result":{}}'
    with pytest.raises(RequestRefusedError, match="10001 params error"):
        await fetch(venue.client(BybitSpot()))
    venue.body = b'{"retCode":10006,"retMsg":"Too many visits!"}'
    with pytest.raises(RateLimitedError):
        await fetch(venue.client(BybitSpot()))
    venue.body = b'{"retCode":10016,"retMsg":"Server error"}'
    with pytest.raises(VenueFailedError):
        await fetch(venue.client(BybitSpot()))
    venue.body = b'{"retCode":10024,"retMsg":"compliance rules"}'
    with pytest.raises(RegionRefusedError, match="THE_URL"):
        await fetch(venue.client(BybitSpot()))
    venue.status, venue.body, venue.headers = 403, b"access too frequent", {"Retry-After": "5"}
    with pytest.raises(RateLimitedError, match="600 s"):
        await fetch(venue.client(BybitSpot()))
    venue.body = b"error: only words"
    with pytest.raises(RegionRefusedError):
        await fetch(venue.client(BybitSpot()))


async def test_no_server_is_an_error_that_names_the_setting(venue: Venue, unused_tcp_port: int) -> None:
    """Refused at once."""
    with pytest.raises(VenueUnreachableError, match="check THE_URL"):
        await fetch(venue.client(url=f"http://127.0.0.1:{unused_tcp_port}"))


async def test_a_server_that_does_not_answer_is_left(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the timeout."""
    monkeypatch.setattr(rest_module, "TIMEOUT_S", 0.05)
    venue.answers_after_s = 1.0
    with pytest.raises(VenueUnreachableError, match="no answer within"):
        await fetch(venue.client())


async def test_a_request_waits_for_its_weight(venue: Venue) -> None:
    """It goes when the pause is over, not before."""
    client = venue.client()
    client.budget.pause(rest_module.time.time(), 0.2)
    began_s = rest_module.time.monotonic()
    await fetch(client)
    assert rest_module.time.monotonic() - began_s >= 0.19
