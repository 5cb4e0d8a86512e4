"""Taker fees by venue, market and fee group, each valid from a date on."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

DEFAULT_GROUP = "default"
BEGINNING = date(1970, 1, 1)
NS_PER_DAY = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Fee:
    """What taking costs on one venue and market, in basis points, from midnight UTC of a date on."""

    venue: str
    market: str
    fee_group: str
    taker_bps: Decimal
    valid_from: date


# Lowest tiers as published in July 2026: exchanges.md 4.1.
PUBLIC_FEES = (
    Fee("binance", "spot", DEFAULT_GROUP, Decimal("10"), BEGINNING),
    Fee("binance", "perp", DEFAULT_GROUP, Decimal("5"), BEGINNING),
    Fee("bybit", "spot", DEFAULT_GROUP, Decimal("10"), BEGINNING),
    Fee("bybit", "perp", DEFAULT_GROUP, Decimal("5.5"), BEGINNING),
)


class FeeSchedule:
    """A table of fees that knows which one is in force for a leg at an event time."""

    def __init__(self, fees: Iterable[Fee]) -> None:
        self.fees = tuple(sorted(fees, key=lambda f: (f.venue, f.market, f.fee_group, f.valid_from)))
        self._days: dict[tuple[str, str, str], list[int]] = {}
        self._fees: dict[tuple[str, str, str], list[Fee]] = {}
        for fee in self.fees:
            key = (fee.venue, fee.market, fee.fee_group)
            day = (fee.valid_from - BEGINNING).days
            if day in self._days.setdefault(key, []):
                raise ValueError(f"two fees of {'/'.join(key)} are valid from {fee.valid_from}")
            self._days[key].append(day)
            self._fees.setdefault(key, []).append(fee)

    @classmethod
    def public(cls) -> "FeeSchedule":
        """The venues' public fees of the lowest tier."""
        return cls(PUBLIC_FEES)

    def check_beginnings(self) -> None:
        """Refuse a gap in time, by ValueError: a leg's default fee that begins after another leg's."""
        begins = {key[:2]: days[0] for key, days in self._days.items() if key[2] == DEFAULT_GROUP}
        if not begins:
            return
        first, last = min(begins, key=begins.__getitem__), max(begins, key=begins.__getitem__)
        if begins[first] != begins[last]:
            raise ValueError(
                f"the fees of {':'.join(last)} begin on {_date(begins[last])}, those of {':'.join(first)} on "
                f"{_date(begins[first])}: between them there is a gap; give a fee that is valid from there on"
            )

    def missing(self, legs: Iterable[tuple[str, str]], at_ns: int) -> list[str]:
        """The legs (venue, market) without a default fee in force at a time."""
        return [f"{v}:{m}" for v, m in legs if self.taker_bps(v, m, DEFAULT_GROUP, at_ns) is None]

    def taker_bps(self, venue: str, market: str, fee_group: str, at_ns: int) -> Decimal | None:
        """What the fee in force takes; None without one."""
        fee = self.in_force(venue, market, fee_group, at_ns)
        return None if fee is None else fee.taker_bps

    def in_force(self, venue: str, market: str, fee_group: str, at_ns: int) -> Fee | None:
        """The newest fee in force at an event time: the leg's own group's before the default's; None without one."""
        day = at_ns // NS_PER_DAY
        for group in (fee_group, DEFAULT_GROUP):
            key = (venue, market, group)
            index = bisect_right(self._days.get(key, ()), day)
            if index:
                return self._fees[key][index - 1]
        return None


def _date(day: int) -> date:
    return BEGINNING + timedelta(days=day)
