"""REST answers that go wrong: refused, slow, broken (exchange notes 1.4 and 2.4)."""

import asyncio
import math
from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from producers.simulator.faults.active import ActiveFaults, Fault
from producers.simulator.settings import STEP_MS
from producers.simulator.universe import BINANCE

Respond = Callable[[web.Request], Awaitable[web.Response]]
FindMarket = Callable[[web.Request], str | None]

_HTML = b"<html><head><title>%d</title></head><body><center><h1>%d</h1></center></body></html>"
_RESTRICTED = "Service unavailable from a restricted location according to 'b. Eligibility' in the terms."
_JSON = "application/json"


def faulty(respond: Respond, active: ActiveFaults, venue: str, market_of: FindMarket) -> Respond:
    """The same endpoint, disturbed while a fault says so."""

    async def disturbed(request: web.Request) -> web.Response:
        market = market_of(request)
        for name, refuse in _REFUSALS.items():
            fault = active.bite(name, venue, market) if active else None
            if fault is not None:
                return refuse(fault, active.step)
        response = await respond(request)
        if not active:
            return response
        slow, malformed = active.bite("slow_rest", venue, market), active.bite("malformed_rest", venue, market)
        if slow is not None:
            await asyncio.sleep(slow.params["delay_s"])
        return response if malformed is None else _malformed(malformed, response)

    return disturbed


def _retry_after(fault: Fault, step: int) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil((fault.until_step - step) * STEP_MS / 1000)))}


def _too_many(fault: Fault, step: int) -> web.Response:
    if fault.venue != BINANCE:
        return web.Response(status=429, text="Too many requests", headers=_retry_after(fault, step))
    return _binance(429, -1003, "Too many requests; please use the websocket for live updates.", fault, step)


def _banned(fault: Fault, step: int) -> web.Response:
    return _binance(418, -1003, "Way too many requests; IP banned until the time in Retry-After.", fault, step)


def _binance(status: int, code: int, message: str, fault: Fault, step: int) -> web.Response:
    body = orjson.dumps({"code": code, "msg": message})
    return web.Response(status=status, body=body, headers=_retry_after(fault, step), content_type=_JSON)


def _too_many_visits(fault: Fault, step: int) -> web.Response:
    body = {"retCode": 10006, "retMsg": "Too many visits!", "result": {}, "retExtInfo": {}, "time": 0}
    return web.Response(body=orjson.dumps(body), content_type=_JSON)


def _broken_server(fault: Fault, step: int) -> web.Response:
    status = fault.params["status"]
    return web.Response(status=status, body=_HTML % (status, status), content_type="text/html")


def _forbidden(fault: Fault, step: int) -> web.Response:
    return web.Response(status=403, body=_HTML % (403, 403), content_type="text/html")


def _restricted(fault: Fault, step: int) -> web.Response:
    return web.Response(status=451, body=orjson.dumps({"code": 0, "msg": _RESTRICTED}), content_type=_JSON)


_REFUSALS: dict[str, Callable[[Fault, int], web.Response]] = {
    "region_403": _forbidden,
    "region_451": _restricted,
    "rest_418": _banned,
    "rest_429": _too_many,
    "rest_10006": _too_many_visits,
    "rest_5xx": _broken_server,
}


def _malformed(fault: Fault, response: web.Response) -> web.Response:
    """Status 200 with half of the body, a page for people, nothing, or JSON of another shape."""
    whole = response.body if isinstance(response.body, bytes) else b""
    bodies = {"truncated": whole[: len(whole) // 2], "html": _HTML % (200, 200), "empty": b"", "other": b'["?"]'}
    return web.Response(body=bodies[fault.params["how"]], content_type=_JSON)
