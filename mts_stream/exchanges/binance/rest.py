"""Binance's REST lists: instruments, prices, turnover, funding intervals, clock, errors (exchanges.md 1.4).

| endpoint | weight | used for |
|---|---|---|
| /api/v3/exchangeInfo, /fapi/v1/exchangeInfo | 20, 1 | instruments, ticks, lots, minima |
| /api/v3/ticker/24hr, /fapi/v1/ticker/24hr | 80, 40 | turnover; spot's reference price |
| /fapi/v1/premiumIndex | 10 | index price |
| /fapi/v1/fundingInfo | 0, and 1 of 500 in 5 min | intervals that are not 8 hours |
| /fapi/v1/fundingRate | 0, and 1 of the same 500 | settlements of the past; at most 1000, `rateType` since 2026-07-28 |

Codes (error-code pages, read 2026-11): -1003 too many requests, also with 418; -1000, -1001, -1004, -1006, -1007,
-1008, -1016 the venue's own trouble; 451 and WAF's 403 are told by HTTP status alone.
"""

from collections.abc import Sequence

import msgspec

from mts_stream.errors import UNREADABLE
from mts_stream.exchanges.venue import (
    FundingSettlement,
    InstrumentFigures,
    InstrumentPage,
    ListedInstrument,
    Millis,
    Refusal,
    RefusalKind,
    RestRequest,
)

FUNDING_POOL = "funding"
_KINDS: dict[int, RefusalKind] = {-1003: "rate"}
_KINDS |= dict.fromkeys((-1000, -1001, -1004, -1006, -1007, -1008, -1016), "failed")
_NEVER_MS = 4_000_000_000_000  # USD-M gives contracts without an end a delivery date in 2100
_SPOT_STATUS = {"TRADING": "trading", "BREAK": "halted", "HALT": "halted", "CANCEL_ONLY": "halted"}
_PERP_STATUS = {"TRADING": "trading", "SETTLING": "settling", "PRE_SETTLE": "settling", "PRE_DELIVERING": "settling"}
_PERP_STATUS |= {"DELIVERING": "settling", "DELIVERED": "delisted", "CLOSE": "delisted"}


class _Filter(msgspec.Struct):
    filterType: str  # noqa: N815
    tickSize: str = "0"  # noqa: N815
    stepSize: str = "0"  # noqa: N815
    minNotional: str = ""  # noqa: N815
    notional: str = ""


class _Symbol(msgspec.Struct):
    symbol: str
    status: str
    baseAsset: str  # noqa: N815
    quoteAsset: str  # noqa: N815
    filters: list[_Filter]
    contractType: str = ""  # noqa: N815
    marginAsset: str = ""  # noqa: N815
    deliveryDate: int = 0  # noqa: N815


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_Symbol]


class _Ticker24(msgspec.Struct):
    symbol: str
    lastPrice: str  # noqa: N815
    quoteVolume: str  # noqa: N815


class _Premium(msgspec.Struct):
    symbol: str
    indexPrice: str  # noqa: N815


class _FundingInfo(msgspec.Struct):
    symbol: str
    fundingIntervalHours: int  # noqa: N815


class _FundingRate(msgspec.Struct):
    fundingTime: Millis  # noqa: N815
    fundingRate: str  # noqa: N815
    markPrice: str = ""  # noqa: N815
    rateType: str = "Regular"  # noqa: N815


class _ServerTime(msgspec.Struct):
    serverTime: Millis  # noqa: N815


class _ErrorBody(msgspec.Struct):
    code: int
    msg: str = ""


_exchange_info = msgspec.json.Decoder(_ExchangeInfo)
_tickers = msgspec.json.Decoder(list[_Ticker24])
_premiums = msgspec.json.Decoder(list[_Premium])
_funding_infos = msgspec.json.Decoder(list[_FundingInfo])
_funding_rates = msgspec.json.Decoder(list[_FundingRate])
_server_time = msgspec.json.Decoder(_ServerTime)
_error_body = msgspec.json.Decoder(_ErrorBody)


class BinanceRest:
    """What spot and USD-M share."""

    _api: str

    def time_request(self) -> RestRequest:
        """The server's clock."""
        return RestRequest(f"{self._api}/time")

    def parse_time_ms(self, body: bytes) -> float:
        """`serverTime`."""
        return float(_server_time.decode(body).serverTime)

    def refusal(self, body: bytes) -> Refusal | None:
        """`{"code":-1121,"msg":"Invalid symbol."}`."""
        try:
            error = _error_body.decode(body)
        except UNREADABLE:
            return None
        return Refusal(error.code, error.msg, _KINDS.get(error.code, "request"))

    def parse_instruments(self, body: bytes) -> InstrumentPage:
        """All symbols of exchangeInfo; it has no pages."""
        return InstrumentPage([self._listed(symbol) for symbol in _exchange_info.decode(body).symbols])

    def _listed(self, symbol: _Symbol) -> ListedInstrument:
        raise NotImplementedError


class SpotRest(BinanceRest):
    """Spot's lists."""

    _api = "/api/v3"
    funding_page_rows: int = 0

    def funding_history_request(self, symbol: str, start_ms: int, end_ms: int) -> RestRequest:
        """Spot has no funding."""
        raise TypeError(f"{symbol} of spot has no funding")

    def parse_funding_history(self, body: bytes) -> list[FundingSettlement]:
        """Spot has no funding."""
        raise TypeError("spot has no funding")

    def instruments_request(self, cursor: str) -> RestRequest:
        """All symbols."""
        return RestRequest("/api/v3/exchangeInfo", weight=20)

    def figures_requests(self) -> tuple[RestRequest, ...]:
        """Last prices and turnover."""
        return (RestRequest("/api/v3/ticker/24hr", weight=80),)

    def parse_figures(self, bodies: Sequence[bytes]) -> dict[str, InstrumentFigures]:
        """The last price is what spot can be compared by."""
        return {t.symbol: InstrumentFigures(t.lastPrice, t.quoteVolume) for t in _tickers.decode(bodies[0])}

    def _listed(self, symbol: _Symbol) -> ListedInstrument:
        unfit = "" if symbol.quoteAsset == "USDT" else f"quoted in {symbol.quoteAsset}"
        status = _SPOT_STATUS.get(symbol.status, "halted")
        return ListedInstrument("binance", "spot", *_rules(symbol), status, unfit=unfit)


class PerpRest(BinanceRest):
    """USD-M's lists."""

    _api = "/fapi/v1"
    funding_page_rows: int = 1000

    def funding_history_request(self, symbol: str, start_ms: int, end_ms: int) -> RestRequest:
        """Ascending from `startTime`; both ends count."""
        params = ("symbol", symbol), ("startTime", str(start_ms)), ("endTime", str(end_ms)), ("limit", "1000")
        return RestRequest("/fapi/v1/fundingRate", params, weight=0, pool=FUNDING_POOL)

    def parse_funding_history(self, body: bytes) -> list[FundingSettlement]:
        """`rateType` Special is a dividend beside the regular rate."""
        return [
            FundingSettlement(row.fundingTime, row.fundingRate, row.rateType.lower(), row.markPrice)
            for row in _funding_rates.decode(body)
        ]

    def instruments_request(self, cursor: str) -> RestRequest:
        """All symbols."""
        return RestRequest("/fapi/v1/exchangeInfo")

    def figures_requests(self) -> tuple[RestRequest, ...]:
        """Turnover, index prices, and the intervals that are not the default."""
        return (
            RestRequest("/fapi/v1/ticker/24hr", weight=40),
            RestRequest("/fapi/v1/premiumIndex", weight=10),
            RestRequest("/fapi/v1/fundingInfo", weight=0, pool=FUNDING_POOL),
        )

    def parse_figures(self, bodies: Sequence[bytes]) -> dict[str, InstrumentFigures]:
        """fundingInfo lists adjusted symbols alone (1.4); the others settle every 8 hours."""
        tickers, premiums, fundings = bodies
        hours = {f.symbol: f.fundingIntervalHours for f in _funding_infos.decode(fundings)}
        turnover = {t.symbol: t.quoteVolume for t in _tickers.decode(tickers)}
        return {
            p.symbol: InstrumentFigures(p.indexPrice, turnover.get(p.symbol, "0"), hours.get(p.symbol, 8))
            for p in _premiums.decode(premiums)
        }

    def _listed(self, symbol: _Symbol) -> ListedInstrument:
        unfit = ""
        if symbol.contractType != "PERPETUAL":
            unfit = f"contract type {symbol.contractType}"
        elif (symbol.quoteAsset, symbol.marginAsset) != ("USDT", "USDT"):
            unfit = f"quoted in {symbol.quoteAsset}, settled in {symbol.marginAsset}"
        delisting = symbol.deliveryDate if 0 < symbol.deliveryDate < _NEVER_MS else None
        status = _PERP_STATUS.get(symbol.status, "halted")
        return ListedInstrument("binance", "perp", *_rules(symbol), status, delisting_ms=delisting, unfit=unfit)


def _rules(symbol: _Symbol) -> tuple[str, str, str, str, str, str]:
    """Symbol, base, quote, tick, lot and minimum; pricePrecision and quantityPrecision are not tick and step."""
    rules = {rule.filterType: rule for rule in symbol.filters}
    nothing = _Filter("")
    minimum = rules.get("NOTIONAL") or rules.get("MIN_NOTIONAL") or nothing
    tick, lot = rules.get("PRICE_FILTER", nothing).tickSize, rules.get("LOT_SIZE", nothing).stepSize
    names = symbol.symbol, symbol.baseAsset, symbol.quoteAsset
    return *names, tick, lot, minimum.minNotional or minimum.notional or "0"
