"""The registry of venues: one package each, one line here (docs/adding-a-venue.md)."""

from mts_stream.exchanges import binance, bybit
from mts_stream.exchanges.venue import Venue, VenueMarket

VENUES: dict[str, Venue] = {
    venue.name: venue
    for venue in (
        binance.VENUE,
        bybit.VENUE,
    )
}

MARKETS: tuple[VenueMarket, ...] = tuple(market for venue in VENUES.values() for market in venue.markets)
