"""The venues' REST, inside their weight budget, with an error type for each way an answer can fail.

VenueError
├── VenueUnreachableError   no answer: no network, refused, timeout
├── RateLimitedError        429, 418, or the venue's own code; says how long to stay away
├── RegionRefusedError      451 or 403: the address is not served
├── RequestRefusedError     the venue says that the request is wrong
├── VenueFailedError        5xx: the venue's own trouble
└── BadAnswerError          an answer that cannot be read
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import aiohttp
from msgspec import DecodeError

from mts_stream.errors import VenueError
from mts_stream.exchanges.venue import RestRequest, VenueMarket
from mts_stream.metrics import REST_WEIGHT
from producers.budget import WeightBudget

TIMEOUT_S = 10.0
BANNED_S = 600.0
SHOWN_CHARACTERS = 200
_RATE_CODES = frozenset({-1003, 10006, 10018})

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
    """GET requests to one market of a venue; waits for the budget before each."""

    def __init__(
        self, market: VenueMarket, base_url: str, setting: str, session: aiohttp.ClientSession, budget: WeightBudget
    ) -> None:
        self.market, self.base_url, self.budget = market, base_url, budget
        self._setting, self._session = setting, session

    async def get(self, request: RestRequest, parse: Callable[[bytes], T]) -> T:
        """The parsed answer; raises one of the errors above."""
        _, parsed = await self.get_with_body(request, parse)
        return parsed

    async def get_with_body(self, request: RestRequest, parse: Callable[[bytes], T]) -> tuple[bytes, T]:
        """The answer as it came, and parsed."""
        await self._wait_for_weight(request.weight)
        body = await self._fetch(request)
        return body, self._parsed(request, body, parse)

    async def get_timed(self, request: RestRequest, parse: Callable[[bytes], T], now_ns: Callable[[], int]) -> Timed[T]:
        """The parsed answer with the times around it, without the wait for the budget."""
        await self._wait_for_weight(request.weight)
        sent_ns = now_ns()
        body = await self._fetch(request)
        return Timed(sent_ns, now_ns(), self._parsed(request, body, parse))

    def _parsed(self, request: RestRequest, body: bytes, parse: Callable[[bytes], T]) -> T:
        try:
            return parse(body)
        except (DecodeError, UnicodeDecodeError) as error:
            raise BadAnswerError(f"{self._where(request)}: unreadable answer: {error}") from error

    async def _wait_for_weight(self, weight: int) -> None:
        while (wait_s := self.budget.wait_s(time.time(), weight)) > 0:  # noqa: ASYNC110  it sleeps as long as it has to
            await asyncio.sleep(wait_s)
        self.budget.spend(time.time(), weight)

    async def _fetch(self, request: RestRequest) -> bytes:
        url = f"{self.base_url}{request.path}"
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        try:
            async with self._session.get(url, params=dict(request.params), timeout=timeout) as response:
                body = await response.read()
                self._note_weight(response)
                self._check(request, response, body)
                return body
        except TimeoutError as error:
            raise VenueUnreachableError(f"{self._where(request)}: no answer within {TIMEOUT_S:.0f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise VenueUnreachableError(f"{self._where(request)}: {error}; check {self._setting}") from error

    def _note_weight(self, response: aiohttp.ClientResponse) -> None:
        used = response.headers.get(self.market.rest_limits.used_header, "")
        if used.isdigit():
            self.budget.reported(time.time(), int(used))
            REST_WEIGHT.labels(self.market.venue, self.market.market).set(int(used))

    def _check(self, request: RestRequest, response: aiohttp.ClientResponse, body: bytes) -> None:
        refusal = self.market.refusal(body) if len(body) < 4096 else None
        status = response.status
        if status == 200 and refusal is None:
            return
        said = f"{refusal.code} {refusal.message}" if refusal else body[:SHOWN_CHARACTERS].decode(errors="replace")
        text = f"{self._where(request)}: HTTP {status}: {said}"
        if status in (418, 429) or (refusal and refusal.code in _RATE_CODES) or b"too frequent" in body[:4096]:
            wait_s = _retry_after_s(response)
            self.budget.pause(time.time(), wait_s)
            raise RateLimitedError(f"{text}; next try in {wait_s:.0f} s", wait_s)
        if status in (403, 451):
            raise RegionRefusedError(f"{text}; this address is not served: set {self._setting} to another host")
        if status >= 500:
            raise VenueFailedError(text)
        raise RequestRefusedError(text)

    def _where(self, request: RestRequest) -> str:
        return f"{self.market.venue} {self.market.market} {self.base_url}{request.path}"


def _retry_after_s(response: aiohttp.ClientResponse) -> float:
    text = response.headers.get("Retry-After", "")
    if text.isdigit():
        return max(1.0, float(text))
    return BANNED_S if response.status in (403, 418) else 10.0
