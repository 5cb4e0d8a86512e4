"""Ctrl-C asks, a second one forces, and work that was given up is gone."""

import asyncio
import os
import signal

import pytest

from mts_stream.errors import LocalPartError
from mts_stream.local.demo import stop
from mts_stream.local.demo.stop import InterruptedWork, StopRequest, first_of


@pytest.mark.parametrize("signum", stop.SIGNALS)
async def test_a_signal_asks_and_a_second_forces(signum: signal.Signals) -> None:
    """SIGINT, SIGTERM and SIGHUP mean the same."""
    before = {each: signal.getsignal(each) for each in stop.SIGNALS}
    try:
        with StopRequest() as request:
            os.kill(os.getpid(), signum)
            await asyncio.wait_for(request.asked.wait(), 5)
            assert not request.forced.is_set()

            os.kill(os.getpid(), signum)
            await asyncio.wait_for(request.forced.wait(), 5)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


async def test_work_that_ends_first_gives_its_result() -> None:
    """Nothing else happened."""
    assert await first_of(asyncio.sleep(0, 7), asyncio.Event()) == 7


async def test_the_event_cancels_the_work() -> None:
    """When it is reported the work has tidied up."""
    event, tidied = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        event.set()
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            tidied.set()

    with pytest.raises(InterruptedWork):
        await first_of(work(), event)
    assert tidied.is_set()


async def test_a_failure_is_raised_as_it_is() -> None:
    """The part that died says why."""
    failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    failure.set_exception(LocalPartError("the worker ended"))

    with pytest.raises(LocalPartError, match="the worker ended"):
        await first_of(asyncio.sleep(60), asyncio.Event(), failure)


async def test_work_that_tidies_up_for_too_long_is_cancelled_out_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """An end has a bound, whatever a part does."""
    monkeypatch.setattr(stop, "TIDY_UP_S", 0.05)
    event = asyncio.Event()
    event.set()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(60)

    with pytest.raises(InterruptedWork):
        await asyncio.wait_for(first_of(work(), event), 5)
