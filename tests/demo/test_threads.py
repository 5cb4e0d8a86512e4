"""Blocking work beside the loop: its result, its error, and no waiting for what was given up."""

import asyncio
import threading
import time

import pytest

from mts_stream.local.demo.threads import in_thread


async def test_the_result_and_the_error_come_back() -> None:
    """As if the work had been called."""
    assert await in_thread(int, "7") == 7
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(int, "seven")


def test_work_that_was_given_up_holds_nothing_back() -> None:
    """The loop closes while the thread still waits, and what comes later is for nobody."""
    release = threading.Event()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await in_thread(release.wait, 30)

    begin = time.monotonic()
    asyncio.run(give_up())
    assert time.monotonic() - begin < 5
    release.set()


async def test_a_late_result_of_cancelled_work_is_dropped() -> None:
    """Its future is done already."""
    release = threading.Event()
    task = asyncio.ensure_future(in_thread(release.wait, 30))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    release.set()
    await asyncio.sleep(0.05)

    assert task.cancelled()
