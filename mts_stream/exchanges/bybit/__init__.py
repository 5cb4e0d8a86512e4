"""Bybit v5 spot and linear: `streams.py` is the socket and the log's frames, `rest.py` the lists."""

from mts_stream.exchanges.bybit.streams import BybitPerp, BybitSpot, decode_depth, decode_funding
from mts_stream.exchanges.venue import Venue

VENUE = Venue("bybit", (BybitSpot(), BybitPerp()), decode_depth, decode_funding)

__all__ = ["VENUE", "BybitPerp", "BybitSpot", "decode_depth", "decode_funding"]
