"""Binance's websocket endpoints of one market: paths, control frames, and who gets which stream.

Facts: exchange notes 1.1. The path alone decides on the envelope; an acknowledgement proves nothing, because unknown
streams and streams of the other USD-M route are acknowledged too, and then never send.
"""

import asyncio
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from producers.simulator.binance_streams import (
    MARKET,
    PUBLIC,
    MarkPriceArrayStream,
    MarkPriceStream,
    Stream,
    StreamName,
    is_due,
    make_stream,
    parse_stream_name,
)
from producers.simulator.faults import BookKey, Faults
from producers.simulator.market import Market, StepResult
from producers.simulator.sessions import Session
from producers.simulator.settings import SimulatorSettings
from producers.simulator.text import LevelText
from producers.simulator.universe import BINANCE, PERP, SPOT

STREAMS_PER_CONNECTION_MAX = 1024
MESSAGES_PER_S_MAX = {SPOT: 5, PERP: 10}


class BinanceSession(Session):
    """A session with its envelope and, on USD-M, its route."""

    combined = False
    route = PUBLIC


@dataclass(slots=True)
class ActiveStream:
    """A stream that somebody subscribed to, and who did."""

    name: str
    stream: Stream
    book: BookKey | None
    sessions: set[BinanceSession] = field(default_factory=set)


class BinanceSockets:
    """All websockets of Binance spot or USD-M; `publish` sends what a step of the market makes due."""

    def __init__(
        self, name: str, market: Market, texts: dict[BookKey, LevelText], settings: SimulatorSettings, faults: Faults
    ) -> None:
        self.name = name
        self.sessions: set[BinanceSession] = set()
        self._market, self._texts, self._settings, self._faults = market, texts, settings, faults
        self._active: dict[str, ActiveStream] = {}
        self._by_book: dict[BookKey, list[ActiveStream]] = {}
        self._numbers = itertools.count(1)

    def add_routes(self, app: web.Application) -> None:
        """Spot has `/ws` and `/stream`; USD-M has them below its routes, and without one they are `/public`."""
        for prefix in ("", "/public", "/market") if self.name == PERP else ("",):
            app.router.add_get(f"{prefix}/stream", self._serve)
            app.router.add_get(f"{prefix}/ws", self._serve)
            app.router.add_get(f"{prefix}/ws/{{names:.+}}", self._serve)

    def publish(self, result: StepResult, index: int, now_ns: int) -> None:
        """Tell the streams what changed and send the events that are due."""
        for leg, update in result.updates:
            for active in self._by_book.get(leg.listing.key, ()):
                active.stream.on_update(update)
                if active.stream.every_ms == 0:
                    self._flush(active, now_ns)
        for active in self._active.values():
            if active.stream.every_ms and is_due(active.stream, index):
                self._flush(active, now_ns)

    def _flush(self, active: ActiveStream, now_ns: int) -> None:
        payload = active.stream.flush(now_ns)
        if payload is None or (active.book is not None and self._faults.loses_frame(active.book)):
            return
        raw = payload.encode()
        combined = b'{"stream":"%b","data":%b}' % (active.name.encode(), raw)
        for session in active.sessions:
            session.send(combined if session.combined else raw)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        names = _requested_names(request)
        if any("," in name for name in names):
            raise web.HTTPBadRequest(text="streams are separated by /")
        session = BinanceSession(
            f"{self.name}-{next(self._numbers)}", self._settings.send_queue_frames_max, MESSAGES_PER_S_MAX[self.name]
        )
        session.combined = request.path.endswith("/stream")
        session.route = MARKET if request.path.startswith("/market/") else PUBLIC
        self.sessions.add(session)
        try:
            self._subscribe(session, names)
            await session.serve(request, lambda text: self._on_text(session, text), self._keepalive)
        finally:
            self.sessions.discard(session)
            self._unsubscribe(session, list(session.names))
        return session.ws

    async def _keepalive(self, session: Session) -> None:
        """Ping at the venue's interval; a client that answers none for the venue's patience is cut."""
        spot = self.name == SPOT
        every_s = self._settings.binance_spot_ping_s if spot else self._settings.binance_perp_ping_s
        loop = asyncio.get_running_loop()
        while loop.time() - session.last_pong_s <= every_s + self._settings.binance_pong_timeout_s:
            await asyncio.sleep(every_s)
            await session.ws.ping(str(int(loop.time() * 1000)).encode())
        session.abort()

    def _on_text(self, session: BinanceSession, text: str) -> None:
        try:
            request = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            session.send(orjson.dumps({"code": 3, "msg": f"Invalid JSON: {error}"}))
            return
        session.send(orjson.dumps(self._answer(session, request)))

    def _answer(self, session: BinanceSession, request: Any) -> dict[str, Any]:
        method, params, number = _control_frame(request)
        if method in ("SUBSCRIBE", "UNSUBSCRIBE") and _are_names(params):
            if len(session.names) + len(params) > STREAMS_PER_CONNECTION_MAX:
                return {"code": 2, "msg": "Invalid request: too many streams on one connection", "id": number}
            (self._subscribe if method == "SUBSCRIBE" else self._unsubscribe)(session, params)
            return {"result": None, "id": number}
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": list(session.names), "id": number}
        if method == "SET_PROPERTY" and params and params[0] == "combined" and isinstance(params[-1], bool):
            session.combined = params[-1]
            return {"result": None, "id": number}
        if method == "GET_PROPERTY" and params == ["combined"]:
            return {"result": session.combined, "id": number}
        return {"code": 2, "msg": f"Invalid request: unknown variant or wrong params of {method!r}", "id": number}

    def _subscribe(self, session: BinanceSession, names: Iterable[str]) -> None:
        for name in names:
            session.names[name] = None
            parsed = parse_stream_name(name, self.name)
            if parsed is None or parsed.route != session.route:
                continue
            active = self._active.get(name) or self._activate(name, parsed)
            if active is not None:
                active.sessions.add(session)

    def _unsubscribe(self, session: BinanceSession, names: Iterable[str]) -> None:
        for name in names:
            session.names.pop(name, None)
            active = self._active.get(name)
            if active is not None:
                active.sessions.discard(session)
                if not active.sessions:
                    self._deactivate(active)

    def _activate(self, name: str, parsed: StreamName) -> ActiveStream | None:
        if parsed.kind == "markPriceArray":
            active = ActiveStream(name, self._mark_price_array(parsed), None)
        else:
            leg = self._market.leg(BINANCE, self.name, parsed.symbol)
            if leg is None:
                return None
            key = leg.listing.key
            stream = make_stream(parsed, leg, self._texts[key])
            active = ActiveStream(name, stream, key if stream.is_depth else None)
            self._by_book.setdefault(key, []).append(active)
        self._active[name] = active
        return active

    def _deactivate(self, active: ActiveStream) -> None:
        del self._active[active.name]
        for streams in self._by_book.values():
            if active in streams:
                streams.remove(active)

    def _mark_price_array(self, parsed: StreamName) -> MarkPriceArrayStream:
        legs = [leg for leg in self._market.legs.values() if leg.listing.leg == (BINANCE, PERP)]
        streams = [MarkPriceStream(leg, self._texts[leg.listing.key], parsed.every_ms) for leg in legs]
        return MarkPriceArrayStream(streams, parsed.every_ms)


def _requested_names(request: web.Request) -> list[str]:
    text = request.match_info.get("names") or request.query.get("streams", "")
    return [name for name in text.split("/") if name]


def _control_frame(request: Any) -> tuple[str | None, list[Any], Any]:
    if not isinstance(request, dict):
        return None, [], None
    params = request.get("params", [])
    return request.get("method"), params if isinstance(params, list) else [], request.get("id")


def _are_names(params: list[Any]) -> bool:
    return bool(params) and all(isinstance(name, str) for name in params)
