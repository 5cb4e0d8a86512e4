"""One websocket of a client: a bounded queue of frames with a writer, so that a slow client stops nobody else."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import NamedTuple

from aiohttp import ClientConnectionResetError, WSCloseCode, WSMsgType, web

CLOSE_TIMEOUT_S = 0.5

TextHandler = Callable[[str], None]
KeepAlive = Callable[["Session"], Coroutine[None, None, None]]


class _Close(NamedTuple):
    """In the queue of frames: close here, with the handshake."""

    code: int
    reason: bytes


class Session:
    """An open websocket with what it subscribed to; `send` never waits, a full queue cuts the connection."""

    def __init__(
        self, conn_id: str, queue_frames_max: int, messages_per_s_max: int | None = None, life_s: float | None = None
    ) -> None:
        self.conn_id = conn_id
        self.names: dict[str, None] = {}
        self.ws = web.WebSocketResponse(
            compress=False,
            autoping=False,
            autoclose=False,
            timeout=CLOSE_TIMEOUT_S,
            max_msg_size=1 << 16,
            heartbeat=None,
        )
        self._queue: asyncio.Queue[bytes | _Close] = asyncio.Queue(queue_frames_max)
        self._is_muted = self._is_closing = False
        self._cut = asyncio.Event()
        self._request: web.Request | None = None
        self._messages_per_s_max = messages_per_s_max
        self._life_s = life_s
        self._heard_s: list[float] = []
        self.last_heard_s = 0.0
        self.last_pong_s = 0.0

    def send(self, frame: bytes) -> None:
        """Queue one text frame; a client that has let the queue fill up is cut off, as the venues do."""
        self._put(frame)

    def close_with(self, code: int, reason: bytes = b"") -> None:
        """Close with this code behind the frames that are queued; 1006 is the code of a cut, and cuts."""
        if code == WSCloseCode.ABNORMAL_CLOSURE:
            self.abort()
        else:
            self._put(_Close(code, reason))

    def mute(self) -> None:
        """Half open from now on: nothing is sent, no ping is answered, not even a close; `abort` ends it."""
        self._is_muted = True

    async def ping(self, payload: bytes) -> None:
        """Ping the client."""
        if not self._is_muted:
            await self.ws.ping(payload)

    def abort(self) -> None:
        """Cut the connection without a closing handshake."""
        self._cut.set()
        transport = self._request.transport if self._request is not None else None
        if transport is not None:
            transport.abort()

    async def close(self) -> None:
        """Close with the handshake, telling the client that the server goes away."""
        if self._is_muted:
            self.abort()
            return
        await self.ws.close(code=WSCloseCode.GOING_AWAY, message=b"server shutdown")

    async def serve(self, request: web.Request, on_text: TextHandler, keepalive: KeepAlive) -> None:
        """Shake hands and serve until either side ends it."""
        self._request = request
        await self.ws.prepare(request)
        self.last_heard_s = self.last_pong_s = asyncio.get_running_loop().time()
        helpers = [asyncio.create_task(self._write()), asyncio.create_task(keepalive(self))]
        if self._life_s is not None:
            helpers.append(asyncio.create_task(self._end_at(self._life_s)))
        try:
            with suppress(ClientConnectionResetError):  # it was cut while our answer was on its way
                await self._read(on_text)
        finally:
            if self._is_closing:
                await asyncio.wait(helpers[:1], timeout=2 * CLOSE_TIMEOUT_S)
            for helper in helpers:
                helper.cancel()
            for outcome in await asyncio.gather(*helpers, return_exceptions=True):
                if isinstance(outcome, Exception) and not isinstance(outcome, ClientConnectionResetError):
                    raise outcome

    async def _read(self, on_text: TextHandler) -> None:
        async for message in self.ws:
            self.last_heard_s = asyncio.get_running_loop().time()
            if self._is_muted:
                continue
            if self._is_too_fast():
                await self.ws.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too many requests")
                return
            if message.type is WSMsgType.TEXT:
                on_text(message.data)
            elif message.type is WSMsgType.PING:
                await self.ws.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self.last_pong_s = self.last_heard_s
        if self._is_muted:
            await self._cut.wait()
        await self.ws.close()

    async def _end_at(self, life_s: float) -> None:
        await asyncio.sleep(life_s)
        self.close_with(WSCloseCode.GOING_AWAY, b"too old")

    async def _write(self) -> None:
        while True:
            frame = await self._queue.get()
            if self._is_muted:
                continue
            if isinstance(frame, _Close):
                self._is_closing = True
                await self.ws.close(code=frame.code, message=frame.reason)
                return
            await self.ws.send_frame(frame, WSMsgType.TEXT)

    def _put(self, frame: bytes | _Close) -> None:
        if self._is_muted or self._is_closing:
            return
        try:
            self._queue.put_nowait(frame)
        except asyncio.QueueFull:
            self.abort()

    def _is_too_fast(self) -> bool:
        """Binance counts every message of the client, pings and pongs too, and disconnects above its limit."""
        if self._messages_per_s_max is None:
            return False
        self._heard_s = [at for at in self._heard_s if at > self.last_heard_s - 1.0]
        self._heard_s.append(self.last_heard_s)
        return len(self._heard_s) > self._messages_per_s_max
