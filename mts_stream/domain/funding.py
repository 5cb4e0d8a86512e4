"""A perp's funding: what the venue stated last, and what it pays until a horizon.

Positive rates are paid by longs to shorts at each settlement (exchanges.md 4.3; Binance and Bybit alike).
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from mts_stream.domain.exact import DECIMALS, plain, scaled
from mts_stream.domain.market_data import FundingUpdate
from mts_stream.domain.rejection import BadRecordError

NS_PER_S = 10**9
NS_PER_HOUR = 3600 * NS_PER_S


class Payments(NamedTuple):
    """What a position on one leg is paid: `rate` (10^-18 of its notional) at `first_ns` and every interval after."""

    first_ns: int
    interval_ns: int
    rate: int


class Sum:
    """Rates added up, and for what that holds: a listed interval, and times from one until before another."""

    __slots__ = ("from_ns", "listed_hours", "rates", "until_ns")

    def __init__(self, listed_hours: int | None, from_ns: int, until_ns: int, rates: int) -> None:
        self.listed_hours, self.from_ns, self.until_ns, self.rates = listed_hours, from_ns, until_ns, rates


def break_even_ns(payments: Iterable[Payments], until_ns: int, cost: int, unit: int) -> int | None:
    """The first settlement up to a time at which the running carry covers the cost; None without one.

    The carry runs over all legs together; `cost` is in multiples of 1/unit of the notional's 10^-18.
    """
    coming = list(payments)
    running = 0
    while coming:
        now_ns = min(paid.first_ns for paid in coming)
        if now_ns > until_ns:
            return None
        for index, paid in enumerate(coming):
            if paid.first_ns == now_ns:
                running += paid.rate
                coming[index] = paid._replace(first_ns=now_ns + paid.interval_ns)
        if running * unit >= cost:
            return now_ns
    return None


class LegFunding:
    """The latest rate, next settlement and interval that a venue stated for one leg, kept over reconnects."""

    __slots__ = ("_sums", "interval_hours", "next_ns", "rate", "rate_text", "received_ns")

    def __init__(self) -> None:
        self.rate: int | None = None
        self.rate_text: str | None = None
        self.next_ns: int | None = None
        self.interval_hours: int | None = None
        self.received_ns: int | None = None
        self._sums: dict[int, Sum] = {}  # by horizon

    def on_update(self, update: FundingUpdate, rate: int | None) -> bool:
        """Take over what was stated; says whether anything changed."""
        before = (self.rate, self.next_ns, self.interval_hours)
        self._sums.clear()
        if rate is not None:
            self.rate, self.rate_text = rate, update.rate
        if update.next_funding_ns is not None:
            self.next_ns = update.next_funding_ns
        if update.interval_hours is not None:
            self.interval_hours = update.interval_hours
        self.received_ns = update.origin.received_ns
        return before != (self.rate, self.next_ns, self.interval_hours)

    @property
    def rate_plain(self) -> str | None:
        """The rate as a plain decimal string."""
        return None if self.rate is None else plain(self.rate, DECIMALS)

    def is_known(self, listed_interval_hours: int | None, at_ns: int, age_max_ns: int) -> bool:
        """Whether rate, next time and interval were stated, and the last record is not too old."""
        if self.rate is None or self.next_ns is None or not self.interval_in_force(listed_interval_hours):
            return False
        return self.received_ns is not None and at_ns - self.received_ns <= age_max_ns

    def first_settlement_ns(self, listed_interval_hours: int | None, after_ns: int) -> int:
        """The first settlement after a time; a next time that has passed moves on by whole intervals."""
        next_ns, interval_ns = self._schedule(listed_interval_hours)
        if next_ns > after_ns:
            return next_ns
        return next_ns + ((after_ns - next_ns) // interval_ns + 1) * interval_ns

    def rates_until(self, listed_interval_hours: int | None, after_ns: int, horizon_ns: int) -> int:
        """The sum of rates (10^-18) over the settlements in (after, after + horizon], always at the latest rate."""
        kept = self._sums.get(horizon_ns)
        if kept is not None and kept.from_ns <= after_ns < kept.until_ns and kept.listed_hours == listed_interval_hours:
            return kept.rates
        first_ns, interval_ns, rate = self.payments(listed_interval_hours, after_ns, 1)
        count = max(0, (after_ns + horizon_ns - first_ns) // interval_ns + 1)
        until_ns = min(first_ns, first_ns + count * interval_ns - horizon_ns)
        self._sums[horizon_ns] = Sum(listed_interval_hours, after_ns, until_ns, rate * count)
        return rate * count

    def payments(self, listed_interval_hours: int | None, after_ns: int, sign: int) -> Payments:
        """The settlements after a time, always at the latest rate; `sign` 1 for a short, -1 for a long position."""
        if self.rate is None:
            raise ValueError("no rate was stated")
        _, interval_ns = self._schedule(listed_interval_hours)
        return Payments(self.first_settlement_ns(listed_interval_hours, after_ns), interval_ns, sign * self.rate)

    def interval_in_force(self, listed_interval_hours: int | None) -> int | None:
        """The interval in hours: the ticker's, else the registry's."""
        return self.interval_hours or listed_interval_hours

    def _schedule(self, listed_interval_hours: int | None) -> tuple[int, int]:
        hours = self.interval_in_force(listed_interval_hours)
        if self.next_ns is None or not hours:
            raise ValueError("no settlement was stated")
        return self.next_ns, hours * NS_PER_HOUR

    def snapshot(self) -> list[Any]:
        """As JSON data."""
        return [self.rate_text, self.next_ns, self.interval_hours, self.received_ns]

    def restore(self, data: list[Any]) -> None:
        """Take over a snapshot."""
        self.rate_text, self.next_ns, self.interval_hours, self.received_ns = data
        self._sums.clear()
        self.rate = None if self.rate_text is None else scaled(self.rate_text)


def parse_rate(update: FundingUpdate) -> int | None:
    """The stated rate times 10^18; raises BadRecordError `impossible_number` for what is no finite decimal."""
    if update.rate is None:
        return None
    try:
        return scaled(update.rate)
    except ValueError as error:
        raise BadRecordError("impossible_number", f"{update.origin.message_id}: rate {error}") from None
