"""One websocket of a client: a bounded queue of frames with a writer, so that a slow client stops nobody else."""

import asyncio
from collections.abc import Callable, Coroutine

from aiohttp import ClientConnectionResetError, WSCloseCode, WSMsgType, web

CLOSE_TIMEOUT_S = 0.5

TextHandler = Callable[[str], None]
KeepAlive = Callable[["Session"], Coroutine[None, None, None]]


class Session:
    """An open websocket with what it subscribed to; `send` never waits, a full queue cuts the connection."""

    def __init__(self, conn_id: str, queue_frames_max: int, messages_per_s_max: int | None = None) -> None:
        self.conn_id = conn_id
        self.names: dict[str, None] = {}
        self.ws = web.WebSocketResponse(
            compress=False, autoping=False, timeout=CLOSE_TIMEOUT_S, max_msg_size=1 << 16, heartbeat=None
        )
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(queue_frames_max)
        self._request: web.Request | None = None
        self._messages_per_s_max = messages_per_s_max
        self._heard_s: list[float] = []
        self.last_heard_s = 0.0
        self.last_pong_s = 0.0

    def send(self, frame: bytes) -> None:
        """Queue one text frame; a client that has let the queue fill up is cut off, as the venues do."""
        try:
            self._queue.put_nowait(frame)
        except asyncio.QueueFull:
            self.abort()

    def abort(self) -> None:
        """Cut the connection without a closing handshake."""
        transport = self._request.transport if self._request is not None else None
        if transport is not None:
            transport.abort()

    async def close(self) -> None:
        """Close with the handshake, telling the client that the server goes away."""
        await self.ws.close(code=WSCloseCode.GOING_AWAY, message=b"server shutdown")

    async def serve(self, request: web.Request, on_text: TextHandler, keepalive: KeepAlive) -> None:
        """Shake hands and serve until either side ends it."""
        self._request = request
        await self.ws.prepare(request)
        self.last_heard_s = self.last_pong_s = asyncio.get_running_loop().time()
        helpers = [asyncio.create_task(self._write()), asyncio.create_task(keepalive(self))]
        try:
            await self._read(on_text)
        finally:
            for helper in helpers:
                helper.cancel()
            for outcome in await asyncio.gather(*helpers, return_exceptions=True):
                if isinstance(outcome, Exception) and not isinstance(outcome, ClientConnectionResetError):
                    raise outcome

    async def _read(self, on_text: TextHandler) -> None:
        async for message in self.ws:
            self.last_heard_s = asyncio.get_running_loop().time()
            if self._is_too_fast():
                await self.ws.close(code=WSCloseCode.POLICY_VIOLATION, message=b"Too many requests")
                return
            if message.type is WSMsgType.TEXT:
                on_text(message.data)
            elif message.type is WSMsgType.PING:
                await self.ws.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self.last_pong_s = self.last_heard_s

    async def _write(self) -> None:
        while True:
            await self.ws.send_frame(await self._queue.get(), WSMsgType.TEXT)

    def _is_too_fast(self) -> bool:
        """Binance counts every message of the client, pings and pongs too, and disconnects above its limit."""
        if self._messages_per_s_max is None:
            return False
        self._heard_s = [at for at in self._heard_s if at > self.last_heard_s - 1.0]
        self._heard_s.append(self.last_heard_s)
        return len(self._heard_s) > self._messages_per_s_max
