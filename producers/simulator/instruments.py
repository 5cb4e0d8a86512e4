"""The venues' instrument lists: every listing as its venue describes it, and rows that no reader should take."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from producers.simulator.market import SimulatedLeg
from producers.simulator.universe import BINANCE, PERP, SPOT, Listing

_ONBOARD_MS = 1_569_398_400_000
_NEVER_MS = 4_133_404_800_000
_MAX_QTY = "9000000"
MIN_NOTIONAL_USD = "5"

Row = dict[str, Any]


def plain(value: Decimal, digits: int | None = None) -> str:
    """A decimal without exponent, with this many digits if given."""
    return f"{value:f}" if digits is None else f"{value:.{digits}f}"


def binance_spot_row(listing: Listing, status: str = "TRADING", quote: str = "USDT") -> Row:
    """One symbol of spot exchangeInfo."""
    tick, lot = plain(listing.tick_size, 8), plain(listing.lot_size, 8)
    return {
        "symbol": listing.symbol,
        "status": status,
        "baseAsset": listing.base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": f"{_MAX_QTY}.00000000", "stepSize": lot},
            {"filterType": "NOTIONAL", "minNotional": f"{MIN_NOTIONAL_USD}.00000000", "applyMinToMarket": True},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


def binance_perp_row(listing: Listing, status: str = "TRADING", contract_type: str = "PERPETUAL") -> Row:
    """One symbol of USD-M exchangeInfo; the precisions are not tick and step, as on the real venue."""
    tick, lot = plain(listing.tick_size), plain(listing.lot_size)
    return {
        "symbol": listing.symbol,
        "pair": listing.symbol,
        "contractType": contract_type,
        "deliveryDate": _NEVER_MS,
        "onboardDate": _ONBOARD_MS,
        "status": status,
        "baseAsset": listing.base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": min(8, listing.price_digits + 1),
        "quantityPrecision": listing.size_digits,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "4529764", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": _MAX_QTY, "stepSize": lot},
            {"filterType": "MARKET_LOT_SIZE", "minQty": lot, "maxQty": _MAX_QTY, "stepSize": lot},
            {"filterType": "MIN_NOTIONAL", "notional": MIN_NOTIONAL_USD},
            {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500"},
        ],
    }


def bybit_spot_row(listing: Listing, status: str = "Trading", quote: str = "USDT") -> Row:
    """One spot instrument of instruments-info."""
    lot = plain(listing.lot_size)
    return {
        "symbol": listing.symbol,
        "baseCoin": listing.base,
        "quoteCoin": quote,
        "innovation": "0",
        "status": status,
        "symbolType": "",
        "marginTrading": "utaOnly",
        "lotSizeFilter": {
            "basePrecision": lot,
            "quotePrecision": "0.00000001",
            "minOrderQty": lot,
            "maxOrderQty": _MAX_QTY,
            "minOrderAmt": MIN_NOTIONAL_USD,
            "maxOrderAmt": "4000000",
        },
        "priceFilter": {"tickSize": plain(listing.tick_size)},
    }


def bybit_linear_row(listing: Listing, status: str = "Trading", quote: str = "USDT", **changes: Any) -> Row:
    """One linear instrument of instruments-info; `fundingInterval` is in minutes here and in hours in tickers."""
    lot = plain(listing.lot_size)
    return {
        "symbol": listing.symbol,
        "contractType": "LinearPerpetual",
        "status": status,
        "baseCoin": listing.base,
        "quoteCoin": quote,
        "settleCoin": quote,
        "symbolType": "",
        "launchTime": str(_ONBOARD_MS),
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": str(listing.price_digits),
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {
            "minPrice": plain(listing.tick_size),
            "maxPrice": "1999999",
            "tickSize": plain(listing.tick_size),
        },
        "lotSizeFilter": {
            "maxOrderQty": _MAX_QTY,
            "minOrderQty": lot,
            "qtyStep": lot,
            "minNotionalValue": MIN_NOTIONAL_USD,
        },
        "unifiedMarginTrade": True,
        "fundingInterval": (listing.funding_interval_hours or 8) * 60,
        "upperFundingRate": "0.00375",
        "lowerFundingRate": "-0.00375",
        "isPreListing": False,
        "preListingInfo": None,
    } | changes


def binance_rows(market: str, listings: list[Listing]) -> list[Row]:
    """All rows of one Binance market: the listings, then what a reader must leave out."""
    like = listings[0]
    if market == SPOT:
        broken = binance_spot_row(like, status="BREAK") | {"symbol": "OLDUSDT", "baseAsset": "OLD"}
        crossed = binance_spot_row(like, quote="BTC") | {"symbol": "ETHBTC", "baseAsset": "ETH"}
        return [*map(binance_spot_row, listings), broken, crossed]
    settling = binance_perp_row(like, status="SETTLING") | {"symbol": "OLDUSDT", "baseAsset": "OLD"}
    stock = binance_perp_row(like, contract_type="TRADIFI_PERPETUAL") | {"symbol": "TSLAUSDT", "baseAsset": "TSLA"}
    quarter = binance_perp_row(like, contract_type="CURRENT_QUARTER") | {"symbol": f"{like.symbol}_270326"}
    return [*map(binance_perp_row, listings), settling, stock, quarter]


def bybit_rows(market: str, listings: list[Listing]) -> list[Row]:
    """All rows of one Bybit category: the listings, then what a reader must leave out."""
    like = listings[0]
    if market != PERP:
        foreign = bybit_spot_row(like, quote="USDC") | {"symbol": f"{like.base}USDC"}
        return [*map(bybit_spot_row, listings), foreign]
    usdc = bybit_linear_row(like, quote="USDC", symbol=f"{like.base}PERP")
    stock = bybit_linear_row(like, symbol="AAPLUSDT", baseCoin="AAPL", symbolType="stock")
    early = bybit_linear_row(like, status="PreLaunch", symbol="SOONUSDT", baseCoin="SOON", isPreListing=True)
    leaving = bybit_linear_row(like, symbol="OLDUSDT", baseCoin="OLD", deliveryTime="1893456000000")
    return [*map(bybit_linear_row, listings), usdc, stock, early, leaving]


def mark_delisted(rows: list[Row], legs: Iterable[SimulatedLeg]) -> None:
    """Give the halted legs' rows the status and time of their end; Bybit spot just drops them from its list.

    An end that is announced stands in the rows of perpetuals that still trade.
    """
    for leg in legs:
        row = next(row for row in rows if row["symbol"] == leg.listing.symbol)
        if leg.halted_ms is None:
            if leg.ends_ms is not None and leg.listing.market == PERP:
                is_binance = leg.listing.venue == BINANCE
                row |= {"deliveryDate": leg.ends_ms} if is_binance else {"deliveryTime": str(leg.ends_ms)}
            continue
        if leg.listing.leg == (BINANCE, SPOT):
            row["status"] = "BREAK"
        elif leg.listing.venue == BINANCE:
            row |= {"status": "SETTLING", "deliveryDate": leg.halted_ms}
        elif leg.listing.market == SPOT:
            rows.remove(row)
        else:
            row |= {"status": "Closed", "deliveryTime": str(leg.halted_ms)}
