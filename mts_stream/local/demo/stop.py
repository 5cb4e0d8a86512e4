"""The wish to stop: a first signal asks for an orderly end, a second one for the end at once."""

import asyncio
import signal
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

TIDY_UP_S = 3.0

T = TypeVar("T")


class InterruptedWork(Exception):  # noqa: N818
    """Work ended before it was done, since somebody asked to stop."""


class StopRequest:
    """Takes Ctrl-C, SIGTERM and SIGHUP while it is entered, from the event loop's own thread."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.forced = asyncio.Event()

    def __enter__(self) -> "StopRequest":
        for signum in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(signum, self.ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        # All has ended: ignored rather than given back, so that a late one cannot break into the exit.
        for signum in SIGNALS:
            asyncio.get_running_loop().remove_signal_handler(signum)
            signal.signal(signum, signal.SIG_IGN)

    def ask(self) -> None:
        """Somebody wants the demo to end; who asks twice wants it now."""
        (self.forced if self.asked.is_set() else self.asked).set()


async def first_of(
    work: Coroutine[Any, Any, T], event: asyncio.Event, failure: "asyncio.Future[None] | None" = None
) -> T:
    """The work's result, unless the event or the failure comes first; the work is then cancelled and gone.

    Raises InterruptedWork after the event, the failure's own error after the failure.
    """
    task, waiter = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    racing: set[asyncio.Future[Any]] = {task, waiter} | ({failure} if failure is not None else set())
    try:
        await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        if failure is not None and failure.done():
            failure.result()
        raise InterruptedWork
    finally:
        await _cancel(task, waiter)


async def _cancel(*tasks: "asyncio.Future[Any]") -> None:
    """Cancel and wait; work that tidies up for too long is cancelled out of that as well, which ends it harder."""
    left: set[asyncio.Future[Any]] = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=TIDY_UP_S)
    await asyncio.gather(*tasks, return_exceptions=True)
