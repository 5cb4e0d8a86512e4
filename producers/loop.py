"""The event loop of the producers: uvloop, whose end does not wait for names that nobody resolves.

Without a network a look-up lasts as long as the system's resolver is patient, ten seconds and more. Loops leave it to
threads that they join when they close, and Ctrl-C would take as long.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

import uvloop

from producers.threads import in_thread

T = TypeVar("T")


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, on such a loop."""
    with asyncio.Runner(loop_factory=ProducerLoop) as runner:
        return runner.run(work)


class ProducerLoop(uvloop.Loop):  # type: ignore[misc]  # uvloop has no types
    """Looks names up in threads of its own, which end with the process at the latest."""

    async def getaddrinfo(self, host: Any, port: Any, **hints: int) -> Any:
        """As the loop's own."""
        return await in_thread(partial(socket.getaddrinfo, host, port, **hints))

    async def create_connection(
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        """As the loop's own, address by address where the name has several."""
        if host is None:
            return await super().create_connection(protocol_factory, **options)
        if options.get("ssl"):
            options.setdefault("server_hostname", host)
        found = await self.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        errors: list[OSError] = []
        for *_, address in found:
            try:
                return await super().create_connection(protocol_factory, address[0], address[1], **options)
            except OSError as error:
                errors.append(error)
        raise errors[0]
