"""The page's HTTP server: read-only, one snapshot, one stream of changes, a handful of files.

GET /            the page
GET /api/state   everything the page shows, as JSON
GET /api/stream  the same as server-sent events: `snapshot` first, then `changes`, at least one a second
GET /health      200 while the results are read, 503 with the reason while they are not
"""

import asyncio
import errno
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from aiohttp import web

from mts_stream.errors import ListenError
from mts_stream.logs import get_logger
from mts_stream.settings import Settings
from mts_stream.web.feed import FeedState, FeedThread
from mts_stream.web.hub import Hub, HubFullError, event
from mts_stream.web.state import PageState

STATIC = Path(__file__).parent / "static"
PUSH_INTERVAL_S = 0.25
HAND_OVER_S = 0.05
SHUTDOWN_S = 1.0
RETRY_MS = 1000
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

log = get_logger(__name__)


class PageServer:
    """Owns the state, the reader and the clients of one page."""

    def __init__(self, settings: Settings, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns
        self._state = PageState(settings.web_history_s)
        self._feed = FeedThread(settings)
        self._hub = Hub()
        self._tasks: list[asyncio.Task[None]] = []
        self.failed: asyncio.Event = asyncio.Event()

    def application(self) -> web.Application:
        """The aiohttp application; it begins to read Kafka when it starts up."""
        app = web.Application()
        app.router.add_get("/", _page)
        app.router.add_get("/api/state", self._snapshot)
        app.router.add_get("/api/stream", self._stream)
        app.router.add_get("/health", self._health)
        app.router.add_static("/static", STATIC)
        app.on_response_prepare.append(_secure)
        app.on_startup.append(self._start)
        app.on_shutdown.append(self._let_go)
        app.on_cleanup.append(self._stop)
        return app

    async def _start(self, _: web.Application) -> None:
        self._feed.start()
        for work in (self._take_over(), self._push()):
            task = asyncio.create_task(work)
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    async def _let_go(self, _: web.Application) -> None:
        self._hub.close()

    async def _stop(self, _: web.Application) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._feed.stop)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.failed.set()

    async def check(self) -> None:
        """Raise what a part of the server died of, if one did."""
        for task in self._tasks:
            if task.done():
                await task

    async def _take_over(self) -> None:
        """Move what the reader has read into the state, a batch at a time."""
        while True:
            item = self._feed.take()
            if item is None:
                if not self._feed.running:
                    raise RuntimeError("the thread that reads Kafka has ended")
                await asyncio.sleep(HAND_OVER_S)
            elif isinstance(item, FeedState):
                self._state.on_feed(*item)
            else:
                now_ns = self._now_ns()
                for topic, told in item:
                    self._state.on_message(topic, told, now_ns)
                await asyncio.sleep(0)

    async def _push(self) -> None:
        """Send what changed, at most four times a second; something at least once a second."""
        while True:
            await asyncio.sleep(PUSH_INTERVAL_S)
            changes = self._state.changes(self._now_ns())
            if changes is not None:
                self._hub.publish(event("changes", changes))

    async def _snapshot(self, _: web.Request) -> web.Response:
        return _json(self._state.snapshot(self._now_ns()))

    async def _health(self, _: web.Request) -> web.Response:
        feed = self._state.feed
        reading = feed["state"] in ("live", "catching_up")
        return _json({"status": "ok" if reading else "waiting", **feed}, 200 if reading else 503)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        def drop() -> None:
            if request.transport is not None:
                request.transport.abort()

        try:
            client = self._hub.join(event("snapshot", self._state.snapshot(self._now_ns())), drop)
        except HubFullError:
            return _json({"error": "as many pages are open as this server serves"}, 503, {"Retry-After": "5"})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        try:
            await response.prepare(request)
            await response.write(b"retry: %d\n\n" % RETRY_MS)
            async for data in client.events():
                await response.write(data)
        except ConnectionResetError:
            log.debug("client left", remote=request.remote)
        finally:
            self._hub.leave(client)
        return response


async def serve(settings: Settings, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `ready` gets the address. Raises ListenError when the port cannot be had."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    with _bound(host, port) as listener:
        server = PageServer(settings)
        runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        try:
            await web.SockSite(runner, listener).start()
            ready(_url(listener))
            await _first(stop.wait(), server.failed.wait())
            await server.check()
        finally:
            await runner.cleanup()


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens, before anything else is begun; raises ListenError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        why = "the port is in use" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise ListenError(
            f"the live page cannot listen on {host}:{port}: {why}; choose another with --host and --port "
            "(WEB_HOST, WEB_PORT)"
        ) from error


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def _first(*waits: Awaitable[object]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


async def _page(_: web.Request) -> web.StreamResponse:
    return web.FileResponse(STATIC / "index.html")


async def _secure(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
    response.headers.setdefault("Cache-Control", "no-cache")


def _json(data: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(data),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"} | (headers or {}),
    )
