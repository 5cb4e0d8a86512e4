"""Binance's REST endpoints of one market, with weights, headers and error bodies (exchange notes 1.4)."""

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from producers.simulator.faults.rest import faulty
from producers.simulator.faults.seams import Faults
from producers.simulator.funding import next_funding_ms, settlements
from producers.simulator.instruments import binance_rows, mark_delisted
from producers.simulator.market import Market, SimulatedLeg
from producers.simulator.text import LevelText
from producers.simulator.universe import BINANCE, PERP, SPOT, BookKey, is_adjusted
from producers.simulator.weights import WeightMeter, retry_after_s

WEIGHTS_PER_MINUTE = {SPOT: 6000, PERP: 2400}
_SPOT_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50), (5000, 250))
_PERP_DEPTH_WEIGHTS = {5: 2, 10: 2, 20: 2, 50: 2, 100: 5, 500: 10, 1000: 20}
_FUNDING_MAX = 1000
_DEPTH_LIMIT_DEFAULT = {SPOT: 100, PERP: 500}

Handler = Callable[[web.Request], tuple[int, Any]]


class BinanceError(Exception):
    """A request that the venue refuses with a code and a message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.body = {"code": code, "msg": message}


class BinanceRest:
    """The public endpoints of Binance spot or USD-M that a market-data client needs."""

    def __init__(
        self,
        name: str,
        market: Market,
        texts: dict[BookKey, LevelText],
        faults: Faults,
        clock_ns: Callable[[], int],
    ) -> None:
        self.name = name
        self._faults = faults
        self.meter = WeightMeter(WEIGHTS_PER_MINUTE[name])
        self._market, self._texts, self._clock_ns = market, texts, clock_ns

    @property
    def _legs(self) -> dict[str, SimulatedLeg]:
        """The listed ones by symbol."""
        listed = (leg for leg in self._market.legs.values() if leg.is_listed)
        return {leg.listing.symbol: leg for leg in listed if leg.listing.leg == (BINANCE, self.name)}

    def add_routes(self, app: web.Application) -> None:
        """Register the market's endpoints, `/api/v3` or `/fapi/v1`."""
        endpoints: dict[str, Handler] = {
            "depth": self._depth,
            "exchangeInfo": self._exchange_info,
            "time": self._time,
            "ticker/24hr": self._ticker_24hr,
        }
        if self.name == PERP:
            endpoints |= {"premiumIndex": self._premium_index, "fundingInfo": self._funding_info}
            endpoints |= {"fundingRate": self._funding_rate}
        prefix = "/api/v3" if self.name == SPOT else "/fapi/v1"
        for path, handler in endpoints.items():
            respond = faulty(self._metered(handler), self._faults.active, BINANCE, lambda request: self.name)
            app.router.add_get(f"{prefix}/{path}", respond)

    def _metered(self, handler: Handler) -> Callable[[web.Request], Any]:
        async def respond(request: web.Request) -> web.Response:
            try:
                weight, body = handler(request)
                status = 200
            except BinanceError as error:
                weight, body, status = 1, error.body, 400
            return self._response(weight, body, status)

        return respond

    def _response(self, weight: int, body: Any, status: int) -> web.Response:
        now_ms = self._now_ms()
        passes = self.meter.take(weight, now_ms)
        headers = {"X-MBX-USED-WEIGHT-1M": str(self.meter.used)}
        if not passes:
            status, headers["Retry-After"] = 429, str(retry_after_s(now_ms))
            text = f"Too many requests; current limit is {self.meter.limit_per_minute} request weight per 1 MINUTE."
            body = {"code": -1003, "msg": text}
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        return web.Response(body=raw, status=status, headers=headers, content_type="application/json")

    def _depth(self, request: web.Request) -> tuple[int, bytes]:
        leg = self._leg(request)
        limit = _whole_number(request, "limit", _DEPTH_LIMIT_DEFAULT[self.name])
        weight, limit = self._depth_weight(limit)
        book, text = leg.book, self._texts[leg.listing.key]
        sides = f'"bids":{text.levels(book.bids.top(limit))},"asks":{text.levels(book.asks.top(limit))}'
        now_ms = self._now_ms()
        times = f'"E":{now_ms},"T":{now_ms - 1},' if self.name == PERP else ""
        return weight, f'{{"lastUpdateId":{book.last_id},{times}{sides}}}'.encode()

    def _depth_weight(self, limit: int) -> tuple[int, int]:
        if self.name == SPOT:
            limit = max(1, min(limit, 5000))
            return next(weight for most, weight in _SPOT_DEPTH_WEIGHTS if limit <= most), limit
        if limit not in _PERP_DEPTH_WEIGHTS:
            raise BinanceError(-4021, f"{limit} is not valid depth limit")
        return _PERP_DEPTH_WEIGHTS[limit], limit

    def _exchange_info(self, request: web.Request) -> tuple[int, Any]:
        limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
        rows = binance_rows(self.name, [leg.listing for leg in self._legs.values()])
        mark_delisted(rows, self._legs.values())
        return 20 if self.name == SPOT else 1, {
            "timezone": "UTC",
            "serverTime": self._now_ms(),
            "rateLimits": [limit | {"limit": self.meter.limit_per_minute}],
            "exchangeFilters": [],
            "symbols": rows,
        }

    def _time(self, request: web.Request) -> tuple[int, Any]:
        return 1, {"serverTime": self._now_ms()}

    def _premium_index(self, request: web.Request) -> tuple[int, Any]:
        return self._one_or_all(request, self._premium, 1, 10)

    def _premium(self, leg: SimulatedLeg) -> dict[str, Any]:
        text, now_ms = self._texts[leg.listing.key], self._now_ms()
        index = text.number(leg.index_price)
        return {
            "symbol": leg.listing.symbol,
            "markPrice": text.number(leg.mark_price),
            "indexPrice": index,
            "estimatedSettlePrice": index,
            "lastFundingRate": f"{leg.funding_rate:.8f}",
            "interestRate": "0.00010000",
            "nextFundingTime": next_funding_ms(leg.listing, now_ms),
            "time": now_ms,
        }

    def _funding_info(self, request: web.Request) -> tuple[int, Any]:
        """Only adjusted symbols are here; a missing one has the default of 8 hours, and a change comes late."""
        adjusted = [leg.told_listing for leg in self._legs.values() if is_adjusted(leg.told_listing)]
        caps = {"adjustedFundingRateCap": "0.02000000", "adjustedFundingRateFloor": "-0.02000000", "disclaimer": False}
        return 0, [
            {"symbol": listing.symbol, "fundingIntervalHours": listing.funding_interval_hours} | caps
            for listing in adjusted
        ]

    def _funding_rate(self, request: web.Request) -> tuple[int, Any]:
        """Settlements of the past, ascending; without a start the newest 200."""
        leg, now_ms = self._leg(request), self._now_ms()
        limit = min(_FUNDING_MAX, _whole_number(request, "limit", 100))
        start_ms, end_ms = _whole_number(request, "startTime", 0), _whole_number(request, "endTime", now_ms)
        newest = None if "startTime" in request.query else 200
        rows = settlements(leg.listing, start_ms, min(end_ms, now_ms), newest=newest)
        price = self._texts[leg.listing.key].number(leg.mark_price)
        return 0, [
            {
                "symbol": leg.listing.symbol,
                "fundingTime": at_ms,
                "fundingRate": rate,
                "markPrice": price,
                "rateType": "Regular",
            }
            for at_ms, rate in rows[:limit]
        ]

    def _ticker_24hr(self, request: web.Request) -> tuple[int, Any]:
        return self._one_or_all(request, self._ticker, *((2, 80) if self.name == SPOT else (1, 40)))

    def _ticker(self, leg: SimulatedLeg) -> dict[str, Any]:
        text, now_ms = self._texts[leg.listing.key], self._now_ms()
        last = text.number(leg.index_price)
        turnover = leg.listing.level_notional_usd * 10_000
        return {
            "symbol": leg.listing.symbol,
            "lastPrice": last,
            "weightedAvgPrice": last,
            "openPrice": last,
            "highPrice": last,
            "lowPrice": last,
            "volume": f"{turnover / leg.index_price:.8f}",
            "quoteVolume": f"{turnover:.8f}",
            "openTime": now_ms - 86_400_000,
            "closeTime": now_ms,
            "count": 1_000_000,
        }

    def _one_or_all(
        self, request: web.Request, row: Callable[[SimulatedLeg], Any], weight_one: int, weight_all: int
    ) -> tuple[int, Any]:
        if "symbol" in request.query:
            return weight_one, row(self._leg(request))
        return weight_all, [row(leg) for leg in self._legs.values()]

    def _leg(self, request: web.Request) -> SimulatedLeg:
        symbol = request.query.get("symbol")
        if not symbol:
            raise BinanceError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        leg = self._legs.get(symbol)
        if leg is None:
            raise BinanceError(-1121, "Invalid symbol.")
        return leg

    def _now_ms(self) -> int:
        return self._clock_ns() // 1_000_000


def _whole_number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit():
        raise BinanceError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return int(text)
