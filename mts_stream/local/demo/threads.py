"""Blocking work beside the event loop, in threads that nobody waits for when the program ends."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """The work's result, from a thread of its own.

    Unlike `asyncio.to_thread`: a Kafka client that waits ten seconds for a broker that has just been ended must not
    hold back a demo that somebody wants to leave.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work(*args, **kwargs)
        except Exception as error:
            _tell(loop, future, future.set_exception, error)
        else:
            _tell(loop, future, future.set_result, result)

    threading.Thread(target=run, daemon=True).start()
    return await future


def _tell(
    loop: asyncio.AbstractEventLoop, future: "asyncio.Future[Any]", how: Callable[[Any], None], what: object
) -> None:
    """Hand the outcome to the loop, unless nobody waits for it any more."""

    def tell() -> None:
        if not future.done():
            how(what)

    try:
        loop.call_soon_threadsafe(tell)
    except RuntimeError:
        return  # the loop is closed: the demo has ended meanwhile
