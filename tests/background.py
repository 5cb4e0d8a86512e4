"""An event loop in a thread of its own: for parts that must outlive a test's loop, and for programs without one."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

RUN_S = 300.0  # a first run downloads the broker


class Background:
    """Runs coroutines one by one in its thread until it is closed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="parts", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Return when it is done."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result(RUN_S)

    def close(self) -> None:
        """End the loop and its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> "Background":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Part(Protocol):
    """What is started and stopped on one loop."""

    async def start(self) -> None:
        """Return when it answers."""

    async def stop(self) -> None:
        """Return when it has ended."""


PartT = TypeVar("PartT", bound=Part)


@contextmanager
def running(part: PartT) -> Iterator[PartT]:
    """A part that ends with the block, also where its start failed half-way."""
    with Background() as loop:
        try:
            loop.run(part.start())
            yield part
        finally:
            loop.run(part.stop())
