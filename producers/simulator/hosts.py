"""One web server per host of a venue, on loopback."""

import asyncio
from collections.abc import Callable, Sequence

from aiohttp import web

from mts_stream.errors import LocalPartError

HOST = "127.0.0.1"
SHUTDOWN_TIMEOUT_S = 0.5
BACKLOG = 128


class Host:
    """An HTTP and websocket server on one port of the loopback address."""

    def __init__(self, name: str, add_routes: Sequence[Callable[[web.Application], None]]) -> None:
        self.name = name
        self.port = 0
        app = web.Application()
        for add in add_routes:
            add(app)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
        self._listener: asyncio.Server | None = None

    @property
    def is_listening(self) -> bool:
        """Whether it takes connections now."""
        return self._listener is not None

    async def start(self, port: int) -> None:
        """Listen on this port, 0 for any free one; LocalPartError if it is taken."""
        await self._runner.setup()
        try:
            await self.listen(port)
        except OSError as error:
            await self._runner.cleanup()
            text = f"simulator {self.name}: port {port} of {HOST} cannot be used ({error.strerror}); choose another"
            raise LocalPartError(text) from error

    async def listen(self, port: int) -> None:
        """Take connections on this port; OSError if it is taken."""
        assert self._runner.server is not None, "set it up first"
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._runner.server, HOST, port, backlog=BACKLOG)
        self.port = int(self._listener.sockets[0].getsockname()[1])

    def refuse(self) -> int:
        """Close the port and cut all connections, as a host that is down; how many there were."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        server = self._runner.server
        transports = [connection.transport for connection in server.connections] if server is not None else []
        for transport in transports:
            if transport is not None:
                transport.abort()
        return len(transports)

    async def stop(self) -> None:
        """Close the port and what is still open on it."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        await self._runner.cleanup()

    def url(self, scheme: str) -> str:
        """The address with a scheme, `http` or `ws`, and no path."""
        return f"{scheme}://{HOST}:{self.port}"


async def stop_all(hosts: list[Host]) -> None:
    """Stop all hosts at once."""
    await asyncio.gather(*(host.stop() for host in hosts))
