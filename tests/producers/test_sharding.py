"""Symbols shared out to connections within what each venue takes on one."""

import pytest

from mts_stream.exchanges import MARKETS
from mts_stream.exchanges.binance import BinancePerp
from mts_stream.exchanges.bybit import BybitPerp, BybitSpot
from mts_stream.exchanges.venue import SocketRoute, VenueMarket
from producers.sharding import shards

ROUTES = [
    pytest.param(market, route, id=f"{market.venue}-{market.market}-{route.name}")
    for market in MARKETS
    for route in market.routes
]


@pytest.mark.parametrize(("market", "route"), ROUTES)
def test_no_connection_gets_more_than_the_venue_takes(market: VenueMarket, route: SocketRoute) -> None:
    """1024 streams of Binance, 21,000 characters of Bybit's topics; every symbol once, in order."""
    symbols = {f"1000{'X' * (n % 9)}{n}USDT": f"P{n}-USDT" for n in range(2500)}
    parts = list(shards(market, route, symbols, symbols_max=1000))

    assert [item for part in parts for item in part.items()] == list(symbols.items())
    for part in parts:
        topics = [topic for symbol in part for topic in market.topics(route, symbol)]
        assert len(part) <= 1000
        assert len(topics) <= 1024
        assert market.venue != "bybit" or sum(map(len, topics)) <= 21_000


def test_the_setting_counts_where_it_is_lower() -> None:
    """200 symbols a connection, as in production."""
    symbols = {f"C{n}USDT": f"C{n}-USDT" for n in range(401)}
    parts = list(shards(BinancePerp(), BinancePerp.routes[0], symbols, 200))
    assert [len(part) for part in parts] == [200, 200, 1]
    assert list(shards(BinancePerp(), BinancePerp.routes[0], {}, 200)) == []


def test_two_channels_of_a_symbol_stay_together() -> None:
    """A linear connection carries book and ticker; it takes about half as many symbols as one of spot."""
    symbols = {f"C{n:04}USDT": f"C{n}-USDT" for n in range(1500)}
    linear = [len(part) for part in shards(BybitPerp(), BybitPerp.routes[0], symbols, 1000)]
    spot = [len(part) for part in shards(BybitSpot(), BybitSpot.routes[0], symbols, 1000)]
    assert linear[0] < spot[0] < 1000
