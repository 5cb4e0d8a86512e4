"""Bybit's v5 market REST endpoints; errors are HTTP 200 with a `retCode` (exchange notes 2.4)."""

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from producers.simulator.book import ASK, BID
from producers.simulator.bybit_sockets import BybitSockets
from producers.simulator.bybit_topics import spot_ticker_fields, ticker_fields
from producers.simulator.faults.rest import faulty
from producers.simulator.faults.seams import Faults
from producers.simulator.funding import settlements
from producers.simulator.instruments import bybit_rows, mark_delisted
from producers.simulator.market import Market, SimulatedLeg
from producers.simulator.text import LevelText
from producers.simulator.universe import BYBIT, PERP, SPOT, BookKey

_CATEGORIES = {"spot": SPOT, "linear": PERP}
_DEPTH_DEFAULTS = {SPOT: 1, PERP: 25}
_PAGE_DEFAULT, _PAGE_MAX = 500, 1000
_FUNDING_MAX = 200
_BAD_PARAMETER = 10001

Handler = Callable[[web.Request], dict[str, Any]]


class BybitError(Exception):
    """A request that the venue answers with a return code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class BybitRest:
    """The public endpoints of Bybit that a market-data client needs, for spot and linear."""

    def __init__(
        self,
        market: Market,
        texts: dict[BookKey, LevelText],
        sockets: dict[str, BybitSockets],
        faults: Faults,
        clock_ns: Callable[[], int],
    ) -> None:
        self._texts, self._sockets, self._faults, self._clock_ns = texts, sockets, faults, clock_ns
        self._all_legs = market.legs

    def add_routes(self, app: web.Application) -> None:
        """Register the endpoints below `/v5/market`."""
        endpoints: dict[str, Handler] = {
            "orderbook": self._orderbook,
            "instruments-info": self._instruments_info,
            "tickers": self._tickers,
            "time": self._time,
            "funding/history": self._funding_history,
        }
        for path, handler in endpoints.items():
            respond = faulty(self._enveloped(handler), self._faults.active, BYBIT, _asked_market)
            app.router.add_get(f"/v5/market/{path}", respond)

    def _enveloped(self, handler: Handler) -> Callable[[web.Request], Any]:
        async def respond(request: web.Request) -> web.Response:
            code, message, result = 0, "OK", {}
            try:
                result = handler(request)
            except BybitError as error:
                code, message = error.code, error.message
            body = {"retCode": code, "retMsg": message, "result": result, "retExtInfo": {}, "time": self._now_ms()}
            headers = {"X-Bapi-Limit": "600", "X-Bapi-Limit-Status": "599"}
            return web.Response(body=orjson.dumps(body), headers=headers, content_type="application/json")

        return respond

    def _legs(self, market: str) -> dict[str, SimulatedLeg]:
        """The listed ones of a market by symbol."""
        listed = (leg for leg in self._all_legs.values() if leg.is_listed)
        return {leg.listing.symbol: leg for leg in listed if leg.listing.leg == (BYBIT, market)}

    def _orderbook(self, request: web.Request) -> dict[str, Any]:
        market = self._market(request)
        symbol = request.query.get("symbol", "")
        window = self._sockets[market].full_window(symbol)
        if window is None:
            raise BybitError(_BAD_PARAMETER, "params error: Symbol Invalid")
        limit = _whole_number(request, "limit", _DEPTH_DEFAULTS[market], 1000)
        now_ms = self._now_ms()
        return {
            "s": symbol,
            "b": window.levels(BID, limit),
            "a": window.levels(ASK, limit),
            "ts": now_ms,
            "u": window.u,
            "seq": window.seq,
            "cts": now_ms - 1,
        }

    def _instruments_info(self, request: web.Request) -> dict[str, Any]:
        market = self._market(request)
        legs = self._legs(market)
        rows = bybit_rows(market, [leg.listing for leg in legs.values()])
        mark_delisted(rows, legs.values())
        symbol = request.query.get("symbol")
        if symbol:
            rows = [row for row in rows if row["symbol"] == symbol]
        start = _cursor(request)
        end = start + _whole_number(request, "limit", _PAGE_DEFAULT, _PAGE_MAX)
        cursor = f"offset%3D{end}" if market == PERP and end < len(rows) else ""
        page = rows[start:end] if market == PERP else rows  # spot is not paged
        return {"category": request.query["category"], "list": page, "nextPageCursor": cursor}

    def _tickers(self, request: web.Request) -> dict[str, Any]:
        market = self._market(request)
        legs = self._legs(market)
        symbol = request.query.get("symbol")
        if symbol and symbol not in legs:
            raise BybitError(_BAD_PARAMETER, "params error: Symbol Invalid")
        chosen = [legs[symbol]] if symbol else list(legs.values())
        return {"category": request.query["category"], "list": [self._ticker(leg) for leg in chosen]}

    def _ticker(self, leg: SimulatedLeg) -> dict[str, str]:
        text = self._texts[leg.listing.key]
        linear = ticker_fields(leg, text, self._clock_ns())
        if leg.listing.market == PERP:
            return linear
        touch = {name: value for name, value in linear.items() if name.startswith(("bid1", "ask1"))}
        return spot_ticker_fields(leg, text) | touch

    def _funding_history(self, request: web.Request) -> dict[str, Any]:
        """The newest of the span, descending; a start alone is refused."""
        leg = self._legs(PERP).get(request.query.get("symbol", "")) if self._market(request) == PERP else None
        if leg is None:
            raise BybitError(_BAD_PARAMETER, "params error: Symbol Invalid")
        if "startTime" in request.query and "endTime" not in request.query:
            raise BybitError(_BAD_PARAMETER, "params error: endTime is required with startTime")
        now_ms = self._now_ms()
        start_ms, end_ms = (
            _whole_number(request, name, default, 1 << 60) for name, default in (("startTime", 1), ("endTime", now_ms))
        )
        limit = _whole_number(request, "limit", _FUNDING_MAX, _FUNDING_MAX)
        rows = [
            {"symbol": leg.listing.symbol, "fundingRate": rate, "fundingRateTimestamp": str(at_ms)}
            for at_ms, rate in settlements(leg.listing, start_ms, min(end_ms, now_ms), newest=limit)
        ]
        return {"category": "linear", "list": rows[::-1]}

    def _time(self, request: web.Request) -> dict[str, Any]:
        now_ns = self._clock_ns()
        return {"timeSecond": str(now_ns // 1_000_000_000), "timeNano": str(now_ns)}

    def _market(self, request: web.Request) -> str:
        market = _asked_market(request)
        if market is None:
            raise BybitError(_BAD_PARAMETER, "params error: Category is invalid")
        return market

    def _now_ms(self) -> int:
        return self._clock_ns() // 1_000_000


def _asked_market(request: web.Request) -> str | None:
    return _CATEGORIES.get(request.query.get("category", ""))


def _whole_number(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
        raise BybitError(_BAD_PARAMETER, f"params error: {name} is invalid")
    return int(text)


def _cursor(request: web.Request) -> int:
    """The cursor is the venue's own text, handed back as it was, percent signs decoded once or not at all."""
    text = request.query.get("cursor", "").replace("%3D", "=").removeprefix("offset=")
    if not text:
        return 0
    if not text.isascii() or not text.isdigit():
        raise BybitError(_BAD_PARAMETER, "params error: cursor is invalid")
    return int(text)
