"""Bybit's REST: books, instruments with paging, tickers, clock, errors (exchanges.md 2.4).

Errors are HTTP 200 with a retCode other than 0 (v5/error, read 2026-11): 10006 and 10018 too many requests, 10009
address banned, 10000 and 10016 the venue's own trouble, 10024 not for this region. `fundingInterval` of
instruments-info is in minutes, that of tickers in hours. Each request counts one; 600 in 5 s per address.
"""

from collections.abc import Sequence

import msgspec

from mts_stream.errors import UNREADABLE
from mts_stream.exchanges.venue import (
    BookSnapshot,
    FundingSettlement,
    Id,
    InstrumentFigures,
    InstrumentPage,
    ListedInstrument,
    Refusal,
    RefusalKind,
    RestRequest,
    whole,
)

NS_PER_MS = 1_000_000
_STATUS = {"Trading": "trading", "PreLaunch": "halted", "Delivering": "settling", "Closed": "delisted"}
_KINDS: dict[int, RefusalKind] = {10006: "rate", 10009: "rate", 10018: "rate", 10000: "failed", 10016: "failed"}
_KINDS |= {10024: "region"}
_UNFIT_TYPES = frozenset({"stock", "commodity", "forex", "xstocks"})  # their markets close (3, rule 4)


class _RetCode(msgspec.Struct):
    retCode: int  # noqa: N815
    retMsg: str = ""  # noqa: N815


class _RestBook(msgspec.Struct):
    u: Id
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class _RestBookAnswer(msgspec.Struct):
    result: _RestBook


class _PriceFilter(msgspec.Struct):
    tickSize: str = "0"  # noqa: N815


class _LotFilter(msgspec.Struct):
    qtyStep: str = ""  # noqa: N815
    basePrecision: str = ""  # noqa: N815
    minNotionalValue: str = ""  # noqa: N815
    minOrderAmt: str = ""  # noqa: N815


class _Instrument(msgspec.Struct):
    symbol: str
    status: str
    baseCoin: str  # noqa: N815
    quoteCoin: str  # noqa: N815
    priceFilter: _PriceFilter  # noqa: N815
    lotSizeFilter: _LotFilter  # noqa: N815
    contractType: str = ""  # noqa: N815
    settleCoin: str = ""  # noqa: N815
    symbolType: str = ""  # noqa: N815
    deliveryTime: str = "0"  # noqa: N815
    fundingInterval: int = 0  # noqa: N815
    isPreListing: bool = False  # noqa: N815


class _InstrumentList(msgspec.Struct):
    list: list[_Instrument]
    nextPageCursor: str = ""  # noqa: N815


class _InstrumentsAnswer(msgspec.Struct):
    result: _InstrumentList


class _TickerRow(msgspec.Struct):
    symbol: str
    lastPrice: str = "0"  # noqa: N815
    indexPrice: str = ""  # noqa: N815
    turnover24h: str = "0"
    fundingIntervalHour: str = ""  # noqa: N815


class _TickerList(msgspec.Struct):
    list: list[_TickerRow]


class _TickersAnswer(msgspec.Struct):
    result: _TickerList


class _FundingRow(msgspec.Struct):
    fundingRate: str  # noqa: N815
    fundingRateTimestamp: str  # noqa: N815


class _FundingList(msgspec.Struct):
    list: list[_FundingRow]


class _FundingAnswer(msgspec.Struct):
    result: _FundingList


class _TimeResult(msgspec.Struct):
    timeNano: str  # noqa: N815


class _TimeAnswer(msgspec.Struct):
    result: _TimeResult


_ret_code = msgspec.json.Decoder(_RetCode)
_rest_book = msgspec.json.Decoder(_RestBookAnswer)
_instruments = msgspec.json.Decoder(_InstrumentsAnswer)
_ticker_rows = msgspec.json.Decoder(_TickersAnswer)
_funding_rows = msgspec.json.Decoder(_FundingAnswer)
_time = msgspec.json.Decoder(_TimeAnswer)


class BybitRest:
    """The lists of one category."""

    venue = "bybit"
    market: str
    category: str
    snapshot_depths: tuple[int, ...] = (200,)
    funding_page_rows: int

    def snapshot_request(self, symbol: str, depth: int = 0) -> RestRequest:
        """Not aligned with the stream of 50 levels, so good for looking only."""
        params = ("category", self.category), ("symbol", symbol), ("limit", str(depth or self.snapshot_depths[0]))
        return RestRequest("/v5/market/orderbook", params)

    def parse_snapshot(self, body: bytes) -> BookSnapshot:
        """`u`, `b`, `a`."""
        book = _rest_book.decode(body).result
        return BookSnapshot(book.u, book.b, book.a)

    def instruments_request(self, cursor: str) -> RestRequest:
        """Pages of 1000: linear has more."""
        params = ("category", self.category), ("limit", "1000")
        return RestRequest("/v5/market/instruments-info", (*params, ("cursor", cursor)) if cursor else params)

    def parse_instruments(self, body: bytes) -> InstrumentPage:
        """One page."""
        result = _instruments.decode(body).result
        return InstrumentPage([self._listed(row) for row in result.list], result.nextPageCursor)

    def _listed(self, row: _Instrument) -> ListedInstrument:
        lots = row.lotSizeFilter
        is_perp = self.market == "perp"
        return ListedInstrument(
            self.venue, self.market, row.symbol, row.baseCoin, row.quoteCoin,
            row.priceFilter.tickSize, lots.qtyStep or lots.basePrecision or "0",
            lots.minNotionalValue or lots.minOrderAmt or "0", _STATUS.get(row.status, "halted"),
            "innovation" if row.symbolType == "innovation" else "default",
            max(1, row.fundingInterval // 60) if is_perp and row.fundingInterval else None,
            whole(row.deliveryTime) or None, _unfit(row, is_perp),
        )  # fmt: skip

    def figures_requests(self) -> tuple[RestRequest, ...]:
        """All tickers in one answer."""
        return (RestRequest("/v5/market/tickers", (("category", self.category),)),)

    def parse_figures(self, bodies: Sequence[bytes]) -> dict[str, InstrumentFigures]:
        """The index price, or the last one on spot."""
        rows = _ticker_rows.decode(bodies[0]).result.list
        return {
            row.symbol: InstrumentFigures(
                row.indexPrice or row.lastPrice, row.turnover24h, _hours(row.fundingIntervalHour)
            )
            for row in rows
        }

    def funding_history_request(self, symbol: str, start_ms: int, end_ms: int) -> RestRequest:
        """The newest of the span, descending; a start without an end is refused (2.4)."""
        span = ("startTime", str(start_ms)), ("endTime", str(end_ms))
        params = ("category", self.category), ("symbol", symbol), *span, ("limit", "200")
        return RestRequest("/v5/market/funding/history", params)

    def parse_funding_history(self, body: bytes) -> list[FundingSettlement]:
        """`fundingRateTimestamp` is text."""
        rows = _funding_rows.decode(body).result.list
        return [FundingSettlement(_whole_ms(row.fundingRateTimestamp), row.fundingRate) for row in rows]

    def time_request(self) -> RestRequest:
        """The server's clock."""
        return RestRequest("/v5/market/time")

    def parse_time_ms(self, body: bytes) -> float:
        """`timeNano`."""
        text = _time.decode(body).result.timeNano
        nanoseconds = whole(text)
        if nanoseconds is None:
            raise msgspec.ValidationError(f"timeNano cannot be {text[:40]!r}")
        return nanoseconds / NS_PER_MS

    def refusal(self, body: bytes) -> Refusal | None:
        """Errors come with HTTP 200 and a retCode other than 0."""
        try:
            answer = _ret_code.decode(body)
        except UNREADABLE:
            return None
        kind = _KINDS.get(answer.retCode, "request")
        return Refusal(answer.retCode, answer.retMsg, kind) if answer.retCode else None


def _unfit(row: _Instrument, is_perp: bool) -> str:
    if row.quoteCoin != "USDT" or (is_perp and row.settleCoin != "USDT"):
        return f"quoted in {row.quoteCoin}, settled in {row.settleCoin or row.quoteCoin}"
    if is_perp and row.contractType != "LinearPerpetual":
        return f"contract type {row.contractType}"
    if row.symbolType in _UNFIT_TYPES:
        return f"type {row.symbolType}"
    return "not trading continuously yet" if row.isPreListing else ""


def _whole_ms(text: str) -> int:
    value = whole(text)
    if value is None:
        raise msgspec.ValidationError(f"fundingRateTimestamp {text[:40]!r} is no time")
    return value


def _hours(text: str) -> int | None:
    return whole(text) or None
