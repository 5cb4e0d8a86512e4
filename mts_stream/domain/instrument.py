"""What is traded where: the legs of a pair, with multiplier, lots and minima, as the registry states them."""

from dataclasses import dataclass
from decimal import Decimal

MARKETS = ("perp", "spot")


@dataclass(frozen=True, slots=True)
class Instrument:
    """One leg of a pair: sizes and prices in the venue's own units.

    Unit price = quoted price / multiplier, unit size = quoted size * multiplier.
    """

    venue: str
    market: str
    symbol: str
    multiplier: Decimal
    tick_size: Decimal
    lot_size: Decimal
    min_notional: Decimal
    funding_interval_hours: int | None
    fee_group: str
    status: str
    reference_price: Decimal

    @property
    def leg(self) -> str:
        """The leg's name, `venue:market`."""
        return f"{self.venue}:{self.market}"


@dataclass(frozen=True, slots=True)
class PairListing:
    """A pair's legs and, where it is quarantined, the reason."""

    pair: str
    quarantined: str | None
    legs: tuple[Instrument, ...]
