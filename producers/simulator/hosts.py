"""One web server per host of a venue, on loopback."""

import asyncio
from collections.abc import Callable, Sequence

from aiohttp import web

from mts_stream.errors import LocalPartError

HOST = "127.0.0.1"
SHUTDOWN_TIMEOUT_S = 0.5


class Host:
    """An HTTP and websocket server on one port of the loopback address."""

    def __init__(self, name: str, add_routes: Sequence[Callable[[web.Application], None]]) -> None:
        self.name = name
        self.port = 0
        app = web.Application()
        for add in add_routes:
            add(app)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_TIMEOUT_S)

    async def start(self, port: int) -> None:
        """Listen on this port, 0 for any free one; LocalPartError if it is taken."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            text = f"simulator {self.name}: port {port} of {HOST} cannot be used ({error.strerror}); choose another"
            raise LocalPartError(text) from error
        self.port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Close the port and what is still open on it."""
        await self._runner.cleanup()

    def url(self, scheme: str) -> str:
        """The address with a scheme, `http` or `ws`, and no path."""
        return f"{scheme}://{HOST}:{self.port}"


async def stop_all(hosts: list[Host]) -> None:
    """Stop all hosts at once."""
    await asyncio.gather(*(host.stop() for host in hosts))
