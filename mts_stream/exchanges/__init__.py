"""The registry of exchanges: one pure module per venue."""

from collections.abc import Callable

from msgspec import Raw

from mts_stream.domain.market_data import DepthUpdate, FundingUpdate, KnownRange, Origin
from mts_stream.exchanges import binance, bybit
from mts_stream.exchanges.venue import VenueMarket

DepthDecoder = Callable[[Raw, Origin, str, KnownRange | None], DepthUpdate]
FundingDecoder = Callable[[Raw, Origin], FundingUpdate]

DEPTH: dict[str, DepthDecoder] = {"binance": binance.decode_depth, "bybit": bybit.decode_depth}
FUNDING: dict[str, FundingDecoder] = {"binance": binance.decode_funding, "bybit": bybit.decode_funding}

MARKETS: tuple[VenueMarket, ...] = (
    binance.BinanceSpot(),
    binance.BinancePerp(),
    bybit.BybitSpot(),
    bybit.BybitPerp(),
)
