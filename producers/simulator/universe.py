"""The instruments that the simulated venues list: names, multipliers, ticks, lots, rates and depth, all fixed.

Names and multipliers follow the venues' own habits: one asset is `1000SHIBUSDT` here and `SHIB1000USDT` there,
`1000SATSUSDT` here and `10000SATSUSDT` there. `ONE` is two different assets under one ticker.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

BINANCE, BYBIT = "binance", "bybit"
SPOT, PERP = "spot", "perp"

T = TypeVar("T")

BookKey = tuple[str, str, str]
"""Venue, market, symbol."""

Leg = tuple[str, str]
LEGS: tuple[Leg, ...] = ((BINANCE, SPOT), (BINANCE, PERP), (BYBIT, SPOT), (BYBIT, PERP))

AMBIGUOUS_BASE = "ONE"
AMBIGUOUS_PRICE_FACTOR = 1.9

# Unit price in USD; the order decides rank: rates fall and books thin out from the first to the last.
_UNIT_PRICES: dict[str, float] = {
    "BTC": 84_550.0, "ETH": 3_150.0, "SOL": 152.0, "PEPE": 0.0000237, "SHIB": 0.0000283,
    "XRP": 2.31, "DOGE": 0.182, "ONE": 0.0152, "SATS": 0.000000231, "BNB": 612.0,
    "ADA": 0.712, "LINK": 14.2, "AVAX": 22.4, "LTC": 92.3, "DOT": 4.61, "BONK": 0.0000152,
    "FLOKI": 0.0000781, "TRX": 0.281, "NEAR": 2.94, "UNI": 6.83, "1INCH": 0.243, "BABYDOGE": 0.00000000152,
    "APT": 5.12, "ARB": 0.384, "OP": 0.721, "SUI": 3.31, "INJ": 11.8, "TIA": 2.44, "SEI": 0.213,
    "ATOM": 4.42, "FIL": 2.71, "ETC": 17.3, "XLM": 0.291, "HBAR": 0.187, "ICP": 5.23, "AAVE": 261.0,
    "CRV": 0.643, "LDO": 0.911, "RUNE": 1.52, "GALA": 0.0171, "SAND": 0.291, "MANA": 0.312, "AXS": 2.61,
    "ALGO": 0.214, "EGLD": 16.2, "WLD": 1.13, "JUP": 0.512, "PYTH": 0.142, "ENA": 0.331, "ORDI": 8.24,
}  # fmt: skip
PAIRS_MAX = len(_UNIT_PRICES)

# What a leg calls the asset where that is not its own name: spelling and how many units one of it holds.
_SPELLINGS: dict[tuple[str, str, str], tuple[str, int]] = {
    ("PEPE", BINANCE, PERP): ("1000PEPE", 1000),
    ("PEPE", BYBIT, PERP): ("1000PEPE", 1000),
    ("SHIB", BINANCE, PERP): ("1000SHIB", 1000),
    ("SHIB", BYBIT, PERP): ("SHIB1000", 1000),
    ("SATS", BINANCE, SPOT): ("1000SATS", 1000),
    ("SATS", BINANCE, PERP): ("1000SATS", 1000),
    ("SATS", BYBIT, PERP): ("10000SATS", 10_000),
    ("BONK", BINANCE, PERP): ("1000BONK", 1000),
    ("BONK", BYBIT, PERP): ("1000BONK", 1000),
    ("FLOKI", BINANCE, PERP): ("1000FLOKI", 1000),
    ("FLOKI", BYBIT, PERP): ("1000FLOKI", 1000),
    ("BABYDOGE", BINANCE, SPOT): ("1MBABYDOGE", 1_000_000),
    ("BABYDOGE", BINANCE, PERP): ("1MBABYDOGE", 1_000_000),
    ("BABYDOGE", BYBIT, PERP): ("1000000BABYDOGE", 1_000_000),
}
_NOT_LISTED: frozenset[tuple[str, str, str]] = frozenset({("SATS", BYBIT, SPOT)})

# Book updates per second by rank; the last holds for every rank after it.
_RATES: dict[Leg, tuple[float, ...]] = {
    (BINANCE, SPOT): (20, 12, 8, 6, 4, 3, 3, 2),
    (BINANCE, PERP): (19, 15, 10, 8, 5, 4, 3, 2.5),
    (BYBIT, SPOT): (40, 25, 12, 8, 4, 3, 3, 2),
    (BYBIT, PERP): (50, 30, 15, 10, 5, 4, 3, 2.5),
}
_LEVEL_NOTIONALS_USD = (60_000, 40_000, 20_000, 12_000, 10_000, 8_000)
# Binance is measured at 36-68 levels an event, Bybit at a few; smaller ones keep two cores free for the rest.
_CHANGES_PER_UPDATE: dict[str, tuple[int, ...]] = {BINANCE: (16, 12, 10, 8, 6), BYBIT: (4, 4, 3, 3, 3)}
_INTERVALS_HOURS: dict[str, tuple[int, ...]] = {BINANCE: (8, 8, 4, 8, 4, 8), BYBIT: (8, 8, 8, 4, 1, 8)}

_PRINTED_DIGITS_BINANCE_SPOT = 8
_FINER_FROM_PRICE = 10_000
_DEFAULT_BINANCE_INTERVAL_HOURS = 8


@dataclass(frozen=True, slots=True)
class Listing:
    """One instrument of one venue's market; prices are integers of ticks, sizes integers of lots."""

    venue: str
    market: str
    symbol: str
    base: str
    pair: str
    multiplier: int
    price: float
    price_digits: int
    size_digits: int
    printed_price_digits: int
    printed_size_digits: int
    level_notional_usd: float
    updates_per_s: float
    changes_per_update: int
    funding_interval_hours: int | None

    @property
    def leg(self) -> Leg:
        """The venue and market."""
        return self.venue, self.market

    @property
    def key(self) -> tuple[str, str, str]:
        """The venue, market and symbol."""
        return self.venue, self.market, self.symbol

    @property
    def tick_size(self) -> Decimal:
        """The smallest step of a price."""
        return Decimal(1).scaleb(-self.price_digits)

    @property
    def lot_size(self) -> Decimal:
        """The smallest step of a size."""
        return Decimal(1).scaleb(-self.size_digits)


@dataclass(frozen=True, slots=True)
class PairSpec:
    """One asset against USDT with all its listings; `ambiguous` if its legs are not the same asset."""

    pair: str
    base: str
    rank: int
    unit_price: float
    ambiguous: bool
    listings: tuple[Listing, ...]


def build_universe(pairs: int) -> tuple[PairSpec, ...]:
    """The first `pairs` pairs of the list, with at most one ambiguous one (from 8 pairs on)."""
    return tuple(_pair_spec(rank, base) for rank, base in enumerate(list(_UNIT_PRICES)[:pairs]))


def _pair_spec(rank: int, base: str) -> PairSpec:
    legs = [leg for leg in LEGS if (base, *leg) not in _NOT_LISTED]
    listings = tuple(_listing(rank, base, leg) for leg in legs)
    return PairSpec(f"{base}-USDT", base, rank, _UNIT_PRICES[base], base == AMBIGUOUS_BASE, listings)


def _listing(rank: int, base: str, leg: Leg) -> Listing:
    venue, market = leg
    spelling, multiplier = _SPELLINGS.get((base, venue, market), (base, 1))
    factor = AMBIGUOUS_PRICE_FACTOR if base == AMBIGUOUS_BASE and venue == BYBIT else 1.0
    price = _UNIT_PRICES[base] * multiplier * factor
    price_digits, size_digits = _price_digits(leg, price), _size_digits(market, price)
    eight = leg == (BINANCE, SPOT)
    return Listing(
        venue=venue,
        market=market,
        symbol=f"{spelling}USDT",
        base=spelling,
        pair=f"{base}-USDT",
        multiplier=multiplier,
        price=price,
        price_digits=price_digits,
        size_digits=size_digits,
        printed_price_digits=_PRINTED_DIGITS_BINANCE_SPOT if eight else price_digits,
        printed_size_digits=_PRINTED_DIGITS_BINANCE_SPOT if eight else size_digits,
        level_notional_usd=_by_rank(_LEVEL_NOTIONALS_USD, rank),
        updates_per_s=_by_rank(_RATES[leg], rank),
        changes_per_update=_by_rank(_CHANGES_PER_UPDATE[venue], rank),
        funding_interval_hours=_by_rank(_INTERVALS_HOURS[venue], rank) if market == PERP else None,
    )


def is_adjusted(listing: Listing) -> bool:
    """Whether Binance's fundingInfo would list it: only instruments whose interval is not the default are there."""
    return listing.funding_interval_hours not in (None, _DEFAULT_BINANCE_INTERVAL_HOURS)


def _price_digits(leg: Leg, price: float) -> int:
    """A tick of 0.01 to 0.1 bps; Binance spot is finer where prices are high, and prints no more than 8 digits."""
    digits = 5 - math.floor(math.log10(price))
    if leg != (BINANCE, SPOT):
        return digits
    return min(digits + (price >= _FINER_FROM_PRICE), _PRINTED_DIGITS_BINANCE_SPOT)


def _size_digits(market: str, price: float) -> int:
    """A lot worth at most 100 USD on perps and 1 USD on spot, but never more than one contract or coin."""
    return max(0, math.ceil(math.log10(price) - (2 if market == PERP else 0)))


def _by_rank(values: tuple[T, ...], rank: int) -> T:
    return values[min(rank, len(values) - 1)]
