"""Binance spot and USD-M futures: `streams.py` is the socket and the log's frames, `rest.py` the lists."""

from mts_stream.exchanges.binance.streams import BinancePerp, BinanceSpot, decode_depth, decode_funding
from mts_stream.exchanges.venue import Venue

VENUE = Venue("binance", (BinanceSpot(), BinancePerp()), decode_depth, decode_funding)

__all__ = ["VENUE", "BinancePerp", "BinanceSpot", "decode_depth", "decode_funding"]
