"""Binance's websocket endpoints of one market: paths, control frames, and who gets which stream.

Facts: exchange notes 1.1. The path alone decides on the envelope; an acknowledgement proves nothing, because unknown
streams and streams of the other USD-M route are acknowledged too, and then never send.
"""

import asyncio
import itertools
from collections.abc import Iterable
from typing import Any

import orjson
from aiohttp import web

from producers.simulator.binance_active import ActiveStream, ActiveStreams, BinanceSession
from producers.simulator.binance_streams import (
    MARKET,
    PUBLIC,
    DepthStream,
    PartialDepthStream,
    is_due,
    parse_stream_name,
)
from producers.simulator.faults.seams import Faults
from producers.simulator.market import Market, StepResult
from producers.simulator.sessions import Session
from producers.simulator.settings import SimulatorSettings
from producers.simulator.text import LevelText
from producers.simulator.universe import BINANCE, PERP, SPOT, BookKey

STREAMS_PER_CONNECTION_MAX = 1024
MESSAGES_PER_S_MAX = {SPOT: 5, PERP: 10}


class BinanceSockets:
    """All websockets of Binance spot or USD-M; `publish` sends what a step of the market makes due."""

    def __init__(
        self, name: str, market: Market, texts: dict[BookKey, LevelText], settings: SimulatorSettings, faults: Faults
    ) -> None:
        self.name = name
        self.sessions: set[BinanceSession] = set()
        self._settings, self._faults = settings, faults
        self._active = ActiveStreams(name, market, texts)
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
            for active in self._active.of_book(leg.listing.key):
                active.stream.on_update(update)
                if active.stream.every_ms == 0:
                    self._flush(active, now_ns)
        for active in self._active.all():
            if active.stream.every_ms and is_due(active.stream, index):
                self._flush(active, now_ns)

    def deliver(self, name: str, payload: bytes) -> None:
        """Send an event of a stream that was held back until now."""
        active = self._active.get(name)
        if active is not None:
            _send(name, payload, active.sessions)

    def restart_book(self, key: BookKey) -> None:
        """The ids of a book went on elsewhere: what its streams had collected is gone."""
        for active in self._active.of_book(key):
            if isinstance(active.stream, DepthStream | PartialDepthStream):
                active.stream.restart()

    def announce_shutdown(self, now_ns: int) -> None:
        """Tell every client that its connection will end soon (since 2026-05-08, spot only)."""
        payload = b'{"e":"serverShutdown","E":%d}' % (now_ns // 1_000_000)
        _send("!serverShutdown", payload, self.sessions)

    def _flush(self, active: ActiveStream, now_ns: int) -> None:
        payload = None if active.is_halted else active.stream.flush(now_ns)
        if payload is None:
            return
        raw = payload.encode()
        if active.leg is None or not active.stream.is_depth:
            _send(active.name, raw, active.sessions)
            return
        for frame in self._faults.frames.pass_on(active.leg.listing.key, active.name, raw):
            _send(active.name, frame, active.sessions)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        names = _requested_names(request)
        if any("," in name for name in names):
            raise web.HTTPBadRequest(text="streams are separated by /")
        session = BinanceSession(
            f"{self.name}-{next(self._numbers)}",
            self._settings.send_queue_frames_max,
            MESSAGES_PER_S_MAX[self.name],
            self._settings.connection_life_s,
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
            await session.ping(str(int(loop.time() * 1000)).encode())
        session.abort()

    def _on_text(self, session: BinanceSession, text: str) -> None:
        try:
            request = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            session.send(orjson.dumps({"code": 3, "msg": f"Invalid JSON: {error}"}))
            return
        answer = self._answer(session, request)
        if answer is not None:
            session.send(orjson.dumps(answer))

    def _answer(self, session: BinanceSession, request: Any) -> dict[str, Any] | None:
        method, params, number = _control_frame(request)
        if method in ("SUBSCRIBE", "UNSUBSCRIBE") and _are_names(params):
            if len(session.names) + len(params) > STREAMS_PER_CONNECTION_MAX:
                return {"code": 2, "msg": "Invalid request: too many streams on one connection", "id": number}
            if method == "SUBSCRIBE":
                return self._acknowledge(session, params, number)
            self._unsubscribe(session, params)
            return {"result": None, "id": number}
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": [name for name in session.names if name not in session.unlisted], "id": number}
        if method == "SET_PROPERTY" and params and params[0] == "combined" and isinstance(params[-1], bool):
            session.combined = params[-1]
            return {"result": None, "id": number}
        if method == "GET_PROPERTY" and params == ["combined"]:
            return {"result": session.combined, "id": number}
        return {"code": 2, "msg": f"Invalid request: unknown variant or wrong params of {method!r}", "id": number}

    def _acknowledge(self, session: BinanceSession, names: list[str], number: Any) -> dict[str, Any] | None:
        """Subscribe and acknowledge, or what a fault makes of it: a refusal, another id, no word."""
        wrong = self._faults.ack(BINANCE, self.name)
        if wrong == "ack_failure":
            return {"code": 2, "msg": "Invalid request: request could not be handled", "id": number}
        self._subscribe(session, names)
        if wrong == "ack_missing":
            return None
        return {"result": None, "id": f"{number}0" if wrong == "ack_wrong_id" else number}

    def _subscribe(self, session: BinanceSession, names: Iterable[str]) -> None:
        for name in names:
            session.names[name] = None
            session.unlisted.discard(name)
            parsed = parse_stream_name(name, self.name)
            if parsed is None or parsed.route != session.route or self._is_silent(session, name, parsed.symbol):
                continue
            self._active.subscribe(session, name, parsed)

    def _is_silent(self, session: BinanceSession, name: str, symbol: str) -> bool:
        if not self._faults.lists(BINANCE, self.name, symbol):
            session.unlisted.add(name)
        return self._faults.silences(BINANCE, self.name, symbol)

    def _unsubscribe(self, session: BinanceSession, names: Iterable[str]) -> None:
        for name in names:
            session.names.pop(name, None)
            self._active.unsubscribe(session, name)


def _send(name: str, payload: bytes, sessions: Iterable[BinanceSession]) -> None:
    combined = b'{"stream":"%b","data":%b}' % (name.encode(), payload)
    for session in sessions:
        session.send(combined if session.combined else payload)


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
