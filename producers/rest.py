"""The venues' REST, inside their weight budget, with an error type for each way an answer can fail.

VenueError
├── VenueUnreachableError   no answer: no network, refused, timeout
├── RateLimitedError        429, 418, or the venue's own code; says how long to stay away
├── RegionRefusedError      451 or 403: the address is not served; asked again after ever longer waits
├── RequestRefusedError     the venue says that the request is wrong
├── VenueFailedError        5xx: the venue's own trouble
└── BadAnswerError          an answer that cannot be read, or is too large to be one
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar

import aiohttp

from mts_stream.errors import UNREADABLE, VenueError
from mts_stream.exchanges import MARKETS
from mts_stream.exchanges.venue import Refusal, RestRequest, VenueMarket
from mts_stream.metrics import REST_WEIGHT
from mts_stream.settings import Settings
from producers.budget import PAUSE_S_MAX, WeightBudget

TIMEOUT_S = 10.0  # of silence
ANSWER_S_MAX = 60.0  # spot's exchangeInfo has megabytes
BODY_BYTES_MAX = 64 * 2**20
CHUNK_BYTES = 2**16
LIMITED_S = 10.0
BANNED_S = 600.0
REGION_S, REGION_S_MAX = 60.0, 900.0
SHOWN_CHARACTERS = 200
_ERROR_BYTES_MAX = 4096

T = TypeVar("T")


class VenueUnreachableError(VenueError):
    """No answer came."""


class RateLimitedError(VenueError):
    """The venue wants fewer requests; `retry_after_s` says when it may be asked again."""

    def __init__(self, text: str, retry_after_s: float) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class RegionRefusedError(VenueError):
    """The venue does not serve this address."""


class RequestRefusedError(VenueError):
    """The venue refuses the request itself; asking again does not help."""


class VenueFailedError(VenueError):
    """The venue failed to answer."""


class BadAnswerError(VenueError):
    """The answer is not what the endpoint promises."""


@dataclass(frozen=True, slots=True)
class Timed(Generic[T]):
    """A parsed answer, when its request went out and when it was there (Unix ns)."""

    sent_ns: int
    received_ns: int
    parsed: T


class RestClient:
    """GET requests to one market of a venue; waits for the budget before each, in the order they came.

    `pools` has a budget for each further limit that the market's requests name. Markets of one host share `budget`.
    """

    def __init__(
        self, market: VenueMarket, base_url: str, setting: str, session: aiohttp.ClientSession, budget: WeightBudget,
        pools: Mapping[str, WeightBudget] | None = None,
    ) -> None:  # fmt: skip
        self.market, self.base_url, self.budget = market, base_url, budget
        self.pools = pools or {}
        self._setting, self._session = setting, session
        self._region_refusals = 0

    async def get(self, request: RestRequest, parse: Callable[[bytes], T]) -> T:
        """The parsed answer; raises one of the errors above."""
        _, parsed = await self.get_with_body(request, parse)
        return parsed

    async def get_with_body(self, request: RestRequest, parse: Callable[[bytes], T]) -> tuple[bytes, T]:
        """The answer as it came, and parsed."""
        await self._wait_for_weight(request)
        body = await self._fetch(request)
        return body, self._parsed(request, body, parse)

    async def get_timed(self, request: RestRequest, parse: Callable[[bytes], T], now_ns: Callable[[], int]) -> Timed[T]:
        """The parsed answer with the times around it, without the wait for the budget."""
        await self._wait_for_weight(request)
        sent_ns = now_ns()
        body = await self._fetch(request)
        return Timed(sent_ns, now_ns(), self._parsed(request, body, parse))

    def _parsed(self, request: RestRequest, body: bytes, parse: Callable[[bytes], T]) -> T:
        try:
            return parse(body)
        except UNREADABLE as error:
            raise BadAnswerError(f"{self._where(request)}: unreadable answer: {error}") from error

    async def _wait_for_weight(self, request: RestRequest) -> None:
        spending = [(self.budget, request.weight)]
        if request.pool in self.pools:
            spending.append((self.pools[request.pool], 1))
        async with AsyncExitStack() as turns:
            for budget, _ in spending:
                await turns.enter_async_context(budget.turn)
            while wait_s := _wait_s(spending):  # noqa: ASYNC110  it sleeps as long as it has to
                await asyncio.sleep(wait_s)
            for budget, weight in spending:
                budget.spend(time.time(), weight)

    async def _fetch(self, request: RestRequest) -> bytes:
        url = f"{self.base_url}{request.path}"
        timeout = aiohttp.ClientTimeout(total=ANSWER_S_MAX, connect=TIMEOUT_S, sock_read=TIMEOUT_S)
        try:
            async with self._session.get(url, params=dict(request.params), timeout=timeout) as response:
                self._note_weight(response)
                body = await self._read(request, response)
                self._check(request, response, body)
        except TimeoutError as error:
            text = f"no answer within {TIMEOUT_S:.0f} s, or not all of it within {ANSWER_S_MAX:.0f} s"
            raise VenueUnreachableError(f"{self._where(request)}: {text}; check {self._setting}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise VenueUnreachableError(f"{self._where(request)}: {error}; check {self._setting}") from error
        self._region_refusals = 0
        return body

    async def _read(self, request: RestRequest, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                response.close()
                raise BadAnswerError(f"{self._where(request)}: an answer of more than {BODY_BYTES_MAX // 2**20} MiB")
        return bytes(body)

    def _note_weight(self, response: aiohttp.ClientResponse) -> None:
        used = response.headers.get(self.market.rest_limits.used_header, "")
        if used.isascii() and used.isdigit():
            self.budget.reported(time.time(), int(used))
            REST_WEIGHT.labels(self.market.venue, self.market.market).set(int(used))

    def _check(self, request: RestRequest, response: aiohttp.ClientResponse, body: bytes) -> None:
        refusal = self.market.refusal(body) if len(body) < _ERROR_BYTES_MAX else None
        status = response.status
        if status == 200 and refusal is None:
            return
        said = f"{refusal.code} {refusal.message}" if refusal else body[:SHOWN_CHARACTERS].decode(errors="replace")
        text = f"{self._where(request)}: HTTP {status}: {' '.join(said.split())}"
        kind = _kind(status, refusal, body)
        if kind == "rate":
            wait_s = _retry_after_s(response, time.time())
            self._pause(request, wait_s)
            raise RateLimitedError(f"{text}; next try in {wait_s:.0f} s", wait_s)
        if kind == "region":
            wait_s = self._stay_away_s()
            self.budget.pause(time.time(), wait_s)
            where = f"this address is not served: set {self._setting} to another host"
            raise RegionRefusedError(f"{text}; {where}; next try in {wait_s:.0f} s")
        if kind == "failed":
            raise VenueFailedError(text)
        raise RequestRefusedError(text)

    def _pause(self, request: RestRequest, wait_s: float) -> None:
        budgets: Iterable[WeightBudget] = (self.budget, *(b for name, b in self.pools.items() if name == request.pool))
        for budget in budgets:
            budget.pause(time.time(), wait_s)

    def _stay_away_s(self) -> float:
        """Twice as long with each refusal in a row: a venue that serves nobody here shall not be asked at full rate."""
        self._region_refusals += 1
        return min(REGION_S_MAX, REGION_S * 2.0 ** min(self._region_refusals - 1, 8))

    def _where(self, request: RestRequest) -> str:
        return f"{self.market.venue} {self.market.market} {self.base_url}{request.path}"


def _wait_s(spending: Iterable[tuple[WeightBudget, int]]) -> float:
    return max(budget.wait_s(time.time(), weight) for budget, weight in spending)


def _kind(status: int, refusal: Refusal | None, body: bytes) -> str:
    """What a refusal is; Bybit's 403 is a limit where it says so, and else a region (exchanges.md 2.4)."""
    told = refusal.kind if refusal else "request"
    if status in (418, 429) or told == "rate" or (status == 403 and b"too frequent" in body[:_ERROR_BYTES_MAX]):
        return "rate"
    if status in (403, 451) or told == "region":
        return "region"
    return "failed" if status >= 500 or told == "failed" else "request"


def _retry_after_s(response: aiohttp.ClientResponse, now_s: float) -> float:
    """What Retry-After says, seconds or a date (RFC 9110, 10.2.3); a ban by address lasts BANNED_S at least."""
    least_s = BANNED_S if response.status == 403 else 1.0
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(PAUSE_S_MAX, max(least_s, float(text)))
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return BANNED_S if response.status in (403, 418) else LIMITED_S
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(PAUSE_S_MAX, max(least_s, (until - datetime.fromtimestamp(now_s, UTC)).total_seconds()))


def rest_clients(settings: Settings, session: aiohttp.ClientSession) -> list[RestClient]:
    """A client for every market that there is; those of one host share its budget."""
    share, budgets, clients = settings.rest_weight_share, dict[str, WeightBudget](), []
    for market in MARKETS:
        limits, name = market.rest_limits, f"{market.host}_rest_url"
        budget = budgets.setdefault(market.host, WeightBudget(limits.limit, share))
        pools = {name: WeightBudget(limit, share) for name, limit in limits.pools.items()}
        clients.append(RestClient(market, getattr(settings, name), name.upper(), session, budget, pools))
    return clients
