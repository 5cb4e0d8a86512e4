"""Several captures at once, each in one of several processes; what comes out has the order of what went in."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from threading import Thread

from mts_stream.replay.running import Job, Summary, run_job

SHOWN_EVERY_S = 0.1

_stop: Event
_read_bytes: "Synchronized[int]"


class _StoppedError(Exception):
    """Somebody pressed Ctrl-C, or another capture failed."""


def run_jobs(jobs: Sequence[Job], processes: int, on_bytes: Callable[[int], None]) -> list[Summary]:
    """Run each job, in this process where one is enough; raises what a job raised, after all have ended."""
    if processes == 1 or len(jobs) == 1:
        return [run_job(job, on_bytes) for job in jobs]
    context = get_context("spawn")  # threads of ours, the progress bar's, do not survive a fork
    stop, read_bytes = context.Event(), context.Value("q", 0)
    pool = ProcessPoolExecutor(min(processes, len(jobs)), context, _begin, (stop, read_bytes))
    with pool:
        try:
            with _interrupts_held():
                futures = [pool.submit(_run_in_child, job) for job in jobs]
            _watch(futures, read_bytes, on_bytes)
            return [future.result() for future in futures]
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """What is started meanwhile never sees a Ctrl-C of the terminal: we end it ourselves, and without a traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _watch(futures: list[Future[Summary]], read_bytes: "Synchronized[int]", on_bytes: Callable[[int], None]) -> None:
    """Tell how far the children are until all are done or one has failed."""
    told = 0
    pending: set[Future[Summary]] = set(futures)
    while pending and not any(future.done() and future.exception() for future in futures):
        _, pending = wait(pending, SHOWN_EVERY_S, FIRST_EXCEPTION)
        count = read_bytes.value
        on_bytes(count - told)
        told = count


def _begin(stop: Event, read_bytes: "Synchronized[int]") -> None:
    global _stop, _read_bytes
    _stop, _read_bytes = stop, read_bytes
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that was killed stops nobody: then whoever waits for its next job would wait for ever."""
    parent = parent_process()
    assert parent is not None, "runs in a child"
    parent.join()
    os._exit(1)


def _run_in_child(job: Job) -> Summary:
    return run_job(job, _tell)


def _tell(count: int) -> None:
    if _stop.is_set():
        raise _StoppedError
    with _read_bytes.get_lock():
        _read_bytes.value += count
