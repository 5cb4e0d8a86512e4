"""Asks one exchange host for its time now and then, for as long as it is used."""

import asyncio
from collections.abc import Callable, Iterable
from math import nan

from msgspec import ValidationError

from mts_stream.errors import VenueError
from mts_stream.logs import get_logger
from mts_stream.metrics import CLOCK_OFFSET, CLOCK_OFFSET_ERROR
from producers.backoff import Backoff
from producers.clock_offset import ClockOffset, OffsetEstimator
from producers.rest import RestClient

EVERY_S = 30.0  # exchanges.md 5
FAILED_S, FAILED_S_MAX = 2.0, 300.0
TIME_MS_MAX = 10**13  # the year 2286
NS_PER_MS, NS_PER_S = 1_000_000, 1_000_000_000

log = get_logger(__name__)


class ClockWatch:
    """The clock of one REST host, inside its client's weight budget; who fails to answer is asked ever more rarely."""

    def __init__(self, rest: RestClient, now_ns: Callable[[], int], every_s: float = EVERY_S) -> None:
        self._rest, self._now_ns, self._every_s = rest, now_ns, every_s
        self._estimator = OffsetEstimator()

    def offset(self, now_ns: int) -> ClockOffset | None:
        """The exchange's clock minus ours; None where it is not known."""
        return self._estimator.estimate(now_ns)

    async def run(self) -> None:
        """Ask until cancelled."""
        backoff = Backoff(FAILED_S, FAILED_S_MAX)
        while True:
            try:
                await self.ask()
            except VenueError as error:
                wait_s = backoff.next_s()
                log.warning("no server time", venue=self._rest.market.venue, error=str(error), next_s=round(wait_s, 1))
            else:
                backoff, wait_s = Backoff(FAILED_S, FAILED_S_MAX), self._every_s
            self._measure()
            await asyncio.sleep(wait_s)

    async def ask(self) -> None:
        """Ask once; raises VenueError."""
        answer = await self._rest.get_timed(self._rest.market.time_request(), self._parse_ns, self._now_ns)
        self._estimator.on_answer(answer.sent_ns, answer.received_ns, answer.parsed)

    def _parse_ns(self, body: bytes) -> int:
        """The time in an answer; raises ValidationError for what is far from any."""
        try:
            ms = self._rest.market.parse_time_ms(body)
        except ArithmeticError as error:  # a number of hundreds of digits
            raise ValidationError(f"no time: {error}") from error
        if not 0 <= ms < TIME_MS_MAX:
            raise ValidationError(f"no time: {ms} ms")
        return round(ms * NS_PER_MS)

    def _measure(self) -> None:
        clock = self.offset(self._now_ns())
        labels = self._rest.market.venue, self._rest.base_url
        CLOCK_OFFSET.labels(*labels).set(nan if clock is None else clock.offset_ns / NS_PER_S)
        CLOCK_OFFSET_ERROR.labels(*labels).set(nan if clock is None else clock.error_ns / NS_PER_S)


def clock_watches(clients: Iterable[RestClient], now_ns: Callable[[], int]) -> dict[str, ClockWatch]:
    """One for each host, by its address: markets of one host share a clock."""
    watches: dict[str, ClockWatch] = {}
    for client in clients:
        if client.base_url not in watches:
            watches[client.base_url] = ClockWatch(client, now_ns)
    return watches
