"""Bybit's public websocket of one category: subscribe, acknowledge, snapshot, deltas, ping (exchange notes 2.1)."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import orjson
from aiohttp import web

from producers.simulator.bybit_topics import DEPTHS_MS, KEPT_DEPTH, OrderbookTopic, TickerTopic
from producers.simulator.faults.seams import Faults
from producers.simulator.history import BookEpochs
from producers.simulator.market import Market, SimulatedLeg
from producers.simulator.sessions import Session
from producers.simulator.settings import SimulatorSettings
from producers.simulator.text import LevelText
from producers.simulator.universe import BYBIT, SPOT, BookKey

SPOT_ARGS_MAX = 10
ARGS_CHARACTERS_MAX = 21_000

Topic = OrderbookTopic | TickerTopic


class BybitSockets:
    """All websockets of Bybit spot or linear; the 50-level windows live from the start and keep their history."""

    def __init__(
        self,
        name: str,
        market: Market,
        texts: dict[BookKey, LevelText],
        settings: SimulatorSettings,
        faults: Faults,
        clock_ns: Callable[[], int],
    ) -> None:
        self.name = name
        self.sessions: set[Session] = set()
        self.histories: dict[BookKey, BookEpochs] = {}
        self._texts, self._settings, self._faults, self._clock_ns = texts, settings, faults, clock_ns
        self._legs = {leg.listing.symbol: leg for leg in market.legs.values() if leg.listing.leg == (BYBIT, name)}
        self._books: dict[str, OrderbookTopic] = {}
        self._tickers: dict[str, TickerTopic] = {}
        self._subscribers: dict[str, set[Session]] = {}
        for leg in self._legs.values():
            topic = self._add_book(leg, KEPT_DEPTH)
            self.histories[leg.listing.key] = topic.history(settings.history_updates_max)

    def add_routes(self, app: web.Application) -> None:
        """One path per category."""
        app.router.add_get(f"/v5/public/{'spot' if self.name == SPOT else 'linear'}", self._serve)

    def full_window(self, symbol: str) -> OrderbookTopic | None:
        """The 1000-level window of a symbol, which REST shares its update ids with; None if it is not listed."""
        topic = self._topic(f"orderbook.1000.{symbol}")
        return topic if isinstance(topic, OrderbookTopic) else None

    def publish(self, index: int, now_ns: int) -> None:
        """Move the windows on and send the messages that are due."""
        for book in self._books.values():
            if book.is_due(index):
                self._publish_book(book, now_ns)
        for ticker in self._tickers.values():
            sessions = self._subscribers.get(ticker.name)
            if sessions and ticker.is_due(index) and not ticker.leg.is_halted:
                _send(sessions, ticker.message(now_ns))

    def deliver(self, name: str, frame: bytes) -> None:
        """Send a message of a topic that was held back until now."""
        _send(self._subscribers.get(name, set()), frame)

    def restart_book(self, key: BookKey, now_ns: int, kind: str) -> None:
        """The service of a symbol starts anew: `u` is 1, and each topic says so with its whole window."""
        for book in self._books.values():
            if book.leg.listing.key == key:
                frame = book.restart(now_ns, kind)
                if book.depth == KEPT_DEPTH:
                    self.histories[key].restart(book.u, *book.sides)
                _send(self._subscribers.get(book.name, set()), frame)

    def _publish_book(self, book: OrderbookTopic, now_ns: int) -> None:
        changes = book.advance()
        key = book.leg.listing.key
        if changes and book.depth == KEPT_DEPTH:
            self.histories[key].add(book.u, changes)
        sessions = self._subscribers.get(book.name)
        if sessions:
            frame = None if book.leg.is_halted else book.message(changes, now_ns)
            if frame is None or book.depth == 1:
                _send(sessions, frame)
                return
            for passed in self._faults.frames.pass_on(key, book.name, frame):
                _send(sessions, passed)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        settings = self._settings
        session = Session(str(uuid4()), settings.send_queue_frames_max, life_s=settings.connection_life_s)
        self.sessions.add(session)
        try:
            await session.serve(request, lambda text: self._on_text(session, text), self._cut_if_idle)
        finally:
            self.sessions.discard(session)
            for name in list(session.names):
                self._unsubscribe(session, name)
        return session.ws

    async def _cut_if_idle(self, session: Session) -> None:
        """The server sends no pings; a client that says nothing for long is cut."""
        loop = asyncio.get_running_loop()
        left_s = self._settings.bybit_idle_s
        while left_s > 0:
            await asyncio.sleep(left_s)
            left_s = session.last_heard_s + self._settings.bybit_idle_s - loop.time()
        session.abort()

    def _on_text(self, session: Session, text: str) -> None:
        try:
            request = orjson.loads(text)
        except orjson.JSONDecodeError:
            request = None
        op, req_id, args = _control_frame(request)
        if op == "ping":
            session.send(self._reply(session, "ping", "", "pong"))
        elif op in ("subscribe", "unsubscribe"):
            self._change(session, op, req_id, args)
        else:
            session.send(self._reply(session, str(op or ""), req_id, "error:invalid op", success=False))

    def _change(self, session: Session, op: str, req_id: str, args: list[Any]) -> None:
        refusal = self._refusal(session, op, args)
        if refusal is not None:
            session.send(self._reply(session, op, req_id, refusal, success=False))
            return
        wrong = self._faults.ack(BYBIT, self.name) if op == "subscribe" else None
        if wrong == "ack_failure":
            session.send(self._reply(session, op, req_id, "error:request could not be handled", success=False))
            return
        if wrong != "ack_missing":
            told_id = f"{req_id}0" if wrong == "ack_wrong_id" else req_id
            session.send(self._reply(session, op, told_id, op if self.name == SPOT else ""))
        for name in args:
            if op == "subscribe":
                self._subscribe(session, name)
            else:
                self._unsubscribe(session, name)

    def _refusal(self, session: Session, op: str, args: list[Any]) -> str | None:
        """Why the whole request is refused; nothing of it is done then."""
        if self.name == SPOT and len(args) > SPOT_ARGS_MAX:
            return f"args size >{SPOT_ARGS_MAX}"
        if not args:
            return "error:args is empty"
        if sum(len(str(name)) for name in (*args, *session.names)) > ARGS_CHARACTERS_MAX:
            return "error:args length is too long"
        for name in args:
            if self._topic(name) is None:
                return f"error:handler not found,topic:{name}"
            if op == "subscribe" and name in session.names:
                return f"error:already subscribed,topic:{name}"
        return None

    def _subscribe(self, session: Session, name: str) -> None:
        topic = self._topic(name)
        if topic is None or name in session.names:
            return
        session.names[name] = None
        if not self._faults.silences(BYBIT, self.name, topic.leg.listing.symbol):
            now_ns = self._clock_ns()
            subscribers = self._subscribers.setdefault(name, set())
            if isinstance(topic, TickerTopic):
                _send(subscribers, topic.message(now_ns))  # all go on from what the snapshot says
            session.send(topic.snapshot(now_ns))
            subscribers.add(session)

    def _unsubscribe(self, session: Session, name: str) -> None:
        session.names.pop(name, None)
        self._subscribers.get(name, set()).discard(session)

    def _topic(self, name: Any) -> Topic | None:
        """The topic of this name, made on first use; None if the venue has no handler for it."""
        if not isinstance(name, str) or not self._is_listed(name.rpartition(".")[2]):
            return None
        if name in self._books or name in self._tickers:
            return self._books.get(name) or self._tickers[name]
        kind, _, rest = name.partition(".")
        if kind == "tickers" and rest in self._legs:
            leg = self._legs[rest]
            return self._tickers.setdefault(name, TickerTopic(leg, self._texts[leg.listing.key]))
        depth, _, symbol = rest.partition(".")
        if kind == "orderbook" and depth in map(str, DEPTHS_MS) and symbol in self._legs:
            return self._add_book(self._legs[symbol], int(depth))
        return None

    def _is_listed(self, symbol: str) -> bool:
        return symbol in self._legs and self._legs[symbol].is_listed

    def _add_book(self, leg: SimulatedLeg, depth: int) -> OrderbookTopic:
        first_u = leg.book.last_id // 1000
        topic = OrderbookTopic(leg, depth, self._texts[leg.listing.key], first_u)
        self._books[topic.name] = topic
        return topic

    def _reply(self, session: Session, op: str, req_id: str, message: str, success: bool = True) -> bytes:
        head: dict[str, Any] = {"success": success, "ret_msg": message, "conn_id": str(UUID(session.conn_id))}
        return orjson.dumps(head | {"req_id": req_id, "op": op})


def _send(sessions: set[Session], frame: bytes | None) -> None:
    if frame is not None:
        for session in sessions:
            session.send(frame)


def _control_frame(request: Any) -> tuple[Any, str, list[Any]]:
    if not isinstance(request, dict):
        return None, "", []
    args = request.get("args", [])
    return request.get("op"), str(request.get("req_id", "")), args if isinstance(args, list) else []
