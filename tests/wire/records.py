"""Raw records and results as the tests of the wire need them."""

from typing import Any

import msgspec

from mts_stream.domain.messages import (
    ArbitrageClosed,
    ArbitrageMessage,
    BookQuality,
    FundingChange,
    FundingMessage,
    LegQuote,
    SpreadWindow,
)
from mts_stream.wire.envelope import encode_envelope, encode_frame

EVENT_NS = 1_795_402_801_250_000_000
PAIR = "BTC-USDT"
DIRECTION = "binance:perp>bybit:perp"

BINANCE_DIFF = {
    "e": "depthUpdate", "E": 1795402801240, "T": 1795402801239, "s": "BTCUSDT",
    "U": 101, "u": 105, "pu": 100, "b": [["59990.10", "1.500"]], "a": [["60000.00", "0"]],
}  # fmt: skip
BINANCE_BOOK = {"lastUpdateId": 100, "bids": [["59990.10", "1"]], "asks": [["60000.00", "2"]]}
BINANCE_MARK = {"e": "markPriceUpdate", "E": 1, "s": "BTCUSDT", "r": "-0.00010000", "T": 1795420800000}
BYBIT_BOOK = {
    "topic": "orderbook.50.BTCUSDT", "type": "snapshot", "ts": 1795402801241,
    "data": {"s": "BTCUSDT", "b": [["60300", "1"]], "a": [["60301", "2"]], "u": 7, "seq": 9},
}  # fmt: skip
BYBIT_TICKER = {
    "topic": "tickers.BTCUSDT", "type": "snapshot", "ts": 1,
    "data": {
        "symbol": "BTCUSDT", "fundingRate": "0.0002", "nextFundingTime": "1795420800000", "fundingIntervalHour": "8",
    },
}  # fmt: skip
LISTING = {
    "pair": PAIR, "quarantined": None,
    "legs": [{
        "venue": "binance", "market": "perp", "symbol": "BTCUSDT", "multiplier": "1", "tick_size": "0.10",
        "lot_size": "0.001", "min_notional": "100", "funding_interval_hours": 8, "fee_group": "default",
        "status": "trading", "reference_price": "60000",
    }],
}  # fmt: skip


def raw(frame: Any, **fields: Any) -> bytes:
    """A raw record around a frame, Binance perp depth unless fields say otherwise."""
    known: dict[str, Any] = {
        "venue": "binance", "market": "perp", "channel": "depth", "kind": "frame", "symbol": "BTCUSDT", "pair": PAIR,
        "received_ns": EVENT_NS, "conn": "binance-perp-0", "gen": 1795402790123, "seq": 4711,
    }  # fmt: skip
    return encode_envelope(**(known | fields), frame=frame if isinstance(frame, bytes) else encode_frame(frame))


def changed(value: bytes, **fields: Any) -> bytes:
    """The record with some of its fields replaced by any JSON value, or left out where it is `...`."""
    envelope = msgspec.json.decode(value) | fields
    return msgspec.json.encode({name: field for name, field in envelope.items() if field is not ...})


def leg(venue: str, side: str, price: str) -> LegQuote:
    """One perp leg."""
    return LegQuote(
        venue, "perp", "BTCUSDT", side, price, price, "5", "0.0001", EVENT_NS + 10**9, 12, 105,
        f"{venue}/perp/BTCUSDT/{venue}-perp-0/1/2", 1,
    )  # fmt: skip


LEGS = [leg("binance", "buy", "60000"), leg("bybit", "sell", "60300")]
OPPORTUNITY = "9b2f6c0e-6a53-5d63-8b8e-0d7d7a3f2c11"
COMMON = (1, PAIR, EVENT_NS, EVENT_NS, EVENT_NS + 1_500_000_000, "c" * 64, OPPORTUNITY)
AMOUNTS = ("0.5", "30000", "30150", "150", "31.5825", "6.015", "3", "115.4025", "83.82", "83.82", "27.94", "50")


def opened() -> ArbitrageMessage:
    """An opportunity that opens."""
    return ArbitrageMessage(f"{OPPORTUNITY}-0", "arbitrage.opened", *COMMON, 0, DIRECTION, LEGS, *AMOUNTS)


def closed() -> ArbitrageClosed:
    """The same one that closes."""
    name = (f"{OPPORTUNITY}-1", "arbitrage.closed", *COMMON, 1)
    return ArbitrageClosed(*name, DIRECTION, LEGS, *AMOUNTS, "no_edge", 120_000_000, 0, "83.82", "0.5", [10, 50, 100])


def funding_opened() -> FundingMessage:
    """A funding arbitrage that opens."""
    name = (f"{OPPORTUNITY}-0", "funding.opened", *COMMON, 0)
    return FundingMessage(*name, DIRECTION, LEGS, "40", "25", "15", EVENT_NS + 3600 * 10**9)


def window() -> SpreadWindow:
    """One second of one direction."""
    edges = ("50", "51", "49.5", "50", "50.25")
    return SpreadWindow(
        PAIR, DIRECTION, EVENT_NS - EVENT_NS % 10**9, *edges, "30", "28", None, 1000, 3, {"signal": 1, "no_edge": 2}
    )


def funding_change() -> FundingChange:
    """A rate that changed."""
    return FundingChange("m/1", PAIR, "binance", "perp", "BTCUSDT", EVENT_NS, "-0.0001", EVENT_NS + 10**9, 8)


def book_quality() -> BookQuality:
    """A minute of a book."""
    return BookQuality(
        "book", "binance/perp/BTCUSDT", PAIR, "binance", "perp", "BTCUSDT", 0, 60_000, "valid", 1140, 1139, 59_000,
        "98.3333", {"valid": 59_000, "gap": 1000}, {"gap": 1}, 1, 0, 1, 0, "12", "15", "80", "-3",
    )  # fmt: skip
