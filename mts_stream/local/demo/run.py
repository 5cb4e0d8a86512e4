"""One demo from its first process to its last: start, watch, end, count."""

import asyncio
import shutil
import time
from collections.abc import Coroutine
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar

import psutil

from mts_stream.errors import MtsError, UsageError
from mts_stream.local.demo.drain import end_offsets, first_unhandled
from mts_stream.local.demo.ending import Ending, write_record
from mts_stream.local.demo.options import DemoOptions
from mts_stream.local.demo.page import PageProbe
from mts_stream.local.demo.parts import DemoParts
from mts_stream.local.demo.record import prepare_directory
from mts_stream.local.demo.stop import InterruptedWork, StopRequest, first_of
from mts_stream.local.demo.store import StoreQuery
from mts_stream.local.demo.summary import Outcome, summary_lines
from mts_stream.local.demo.threads import in_thread
from mts_stream.local.demo.timeline import Timeline
from mts_stream.local.demo.truth import TruthWatch
from mts_stream.local.demo.view import DemoView, shares_text
from mts_stream.local.demo.voice import FRAMES_PER_S, Voice
from mts_stream.local.demo.watch import SCRAPE_INTERVAL_S, MetricsWatch, ResultWatch
from mts_stream.local.disk import disk_errors
from mts_stream.settings import load_settings
from mts_stream.wire.topics import RAW, WORKER_GROUP

DONE, FAILED, INTERRUPTED = 0, 1, 130
STORED_POLL_S = 0.25
WATCHERS_STOP_S = 1.0
NEW_ROWS = "SELECT count() FROM spreads_1s WHERE stored_at >= fromUnixTimestamp64Milli({since:Int64})"

T = TypeVar("T")


async def run_demo(options: DemoOptions, voice: Voice) -> int:
    """Run one demo and give its exit code; raises MtsError, with nothing left running, when it fails."""
    load_settings()  # whatever is wrong there is said before anything stands
    if options.record is not None:
        prepare_directory(options.record)
    directory = data_directory(options.data)
    with StopRequest() as stop:
        try:
            code = await Demo(options, directory, voice, stop).run()
        except MtsError:
            voice.say(f"logs and data are kept in {directory}")
            raise
    if options.data is None and code != FAILED:
        await asyncio.to_thread(shutil.rmtree, directory, True)
    return code


def data_directory(wanted: Path | None) -> Path:
    """The directory that was asked for, made if it is not there, or a new temporary one."""
    if wanted is None:
        return Path(mkdtemp(prefix="mts-demo-"))
    with disk_errors(wanted):
        wanted.mkdir(parents=True, exist_ok=True)
    return wanted.resolve()


class Demo:
    """One run."""

    def __init__(self, options: DemoOptions, directory: Path, voice: Voice, stop: StopRequest) -> None:
        self.options = options
        self.voice = voice
        self.stop = stop
        self.started_ns = time.time_ns()
        self.timeline = Timeline(psutil.Process().create_time(), voice.say)
        self.parts = DemoParts(options, directory, self.timeline)
        self._begins: dict[tuple[str, int], int] = {}
        self._watchers: list[asyncio.Task[None]] = []

    async def run(self) -> int:
        """From start to end; whatever happens, nothing is left running."""
        try:
            try:
                await self._unless(self.stop.asked, self._start())
            except InterruptedWork:
                self.voice.say("stopped before results flowed")
                return INTERRUPTED
            await self._run()
            return await self._unless(self.stop.forced, self._end())
        except InterruptedWork:
            self.voice.say("stopped at once, nothing was counted")
            return INTERRUPTED
        finally:
            self.voice.hide()
            await self._stop_watchers()
            await self._stop_parts()

    async def _start(self) -> None:
        self.voice.say("starting Kafka and ClickHouse")
        await self.parts.start_local()
        await self._look_back()
        truth = TruthWatch(self.parts.truth.control, self.started_ns)
        self.results, self.metrics = ResultWatch(self.parts.settings, truth), MetricsWatch(self.parts.addresses)
        self.parts.watched.on_lost = self.voice.say
        await self.parts.start_children()
        judging = truth.run(with_faults=self.options.faults)
        self._watch(self.results.run(), self.metrics.run(), judging, self._first_opportunity(), self._tell_shares())
        await self._until_results_flow()
        self.timeline.mark("ready", f"results flow; the page: {self.parts.addresses.web}")
        self.voice.announce(self._ready_line())

    async def _look_back(self) -> None:
        """Where the worker goes on; a recording has to begin at the beginning."""
        if self.parts.is_new:
            return
        settings = self.parts.settings
        ends = await in_thread(end_offsets, settings, RAW)
        if self.options.record is not None and any(ends.values()):
            raise UsageError(
                f"--record needs a Kafka directory without records, and {self.parts.directory} holds "
                f"{sum(ends.values())}; choose another --data"
            )
        self._begins = await in_thread(first_unhandled, settings, WORKER_GROUP, RAW)

    async def _until_results_flow(self) -> None:
        """Until this run's results are in ClickHouse and on the page."""
        store = StoreQuery(self.parts.settings)
        since = {"since": str(self.started_ns // 1_000_000)}
        try:
            while not (self.results.ledger.results and await store.count_or_none(NEW_ROWS, since)):  # noqa: ASYNC110
                await asyncio.sleep(STORED_POLL_S)
        finally:
            await store.close()
        self.timeline.mark("stored", "the first results are in ClickHouse")
        await PageProbe(self.parts.addresses.web).wait_for("directions")

    async def _first_opportunity(self) -> None:
        await PageProbe(self.parts.addresses.web).wait_for("open", "closed")
        self.timeline.mark("first_opportunity", "" if self.voice.in_terminal else "the page shows an opportunity")

    async def _tell_shares(self) -> None:
        """Outside a terminal's view: who has which partitions, whenever that has changed."""
        told: dict[str, list[int]] = {}
        while True:
            shares = self.metrics.figures.shares
            if shares != told and not self.voice.in_terminal:
                told = dict(shares)
                self.voice.say(shares_text(told))
            await asyncio.sleep(SCRAPE_INTERVAL_S)

    def _ready_line(self) -> dict[str, Any]:
        addresses = self.parts.addresses
        return {
            "event": "ready",
            "kafka": addresses.kafka,
            "clickhouse": addresses.clickhouse,
            "web": addresses.web,
            "metrics": addresses.metrics["worker"],
            "all_metrics": addresses.metrics,
            "data": str(self.parts.directory),
        }

    async def _run(self) -> None:
        """Until the time is over or somebody asks to stop."""
        ready = time.monotonic()
        addresses, settings = self.parts.addresses, self.parts.settings
        view = DemoView(
            addresses.web, addresses.kafka, addresses.clickhouse, settings.clickhouse_database,
            self.options.duration_s, self.results.state, self.metrics.figures, with_faults=self.options.faults,
        )  # fmt: skip
        while not self._is_over(view.elapsed_s):
            view.elapsed_s = time.monotonic() - ready
            self.metrics.figures.results_s = self.results.rate.per_s
            view.faults = self.results.truth.running_faults
            self.voice.show(view)
            await self._pause(1 / FRAMES_PER_S)
        self.timeline.mark("over")
        self.voice.hide()

    def _is_over(self, elapsed_s: float) -> bool:
        asked_for = self.options.duration_s
        return self.stop.asked.is_set() or (asked_for is not None and elapsed_s >= asked_for)

    async def _pause(self, seconds: float) -> None:
        """Wait; a part that has failed ends it, and so does the wish to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self._unless(self.stop.asked, asyncio.sleep(seconds))
        except (TimeoutError, InterruptedWork):
            return

    async def _end(self) -> int:
        self.voice.say("ending: the producers stop, then everything is handled, stored and counted")
        hurried = self.stop.asked.is_set()
        ending = Ending(
            self.parts, self.results, self.metrics, self._begins, self.started_ns, hurried, self.timeline
        )  # fmt: skip
        outcome = await ending.close_books()
        outcome.timeline = self.timeline.moments
        outcome.recorded = await write_record(self.parts)
        self.voice.say(*summary_lines(outcome))
        self.voice.announce(outcome.done_line())
        return self._code(outcome, hurried)

    def _code(self, outcome: Outcome, hurried: bool) -> int:
        if hurried and outcome.accounts.unfinished:
            return DONE  # there was no time to count, which is no fault of the sums
        return FAILED if outcome.accounts.problems() else DONE

    async def _unless(self, event: asyncio.Event, work: Coroutine[Any, Any, T]) -> T:
        return await first_of(work, event, self.parts.watched.failed)

    def _watch(self, *work: Coroutine[Any, Any, None]) -> None:
        for each in work:
            task = asyncio.create_task(each)
            task.add_done_callback(self.parts.watched.fail_with)
            self._watchers.append(task)

    async def _stop_watchers(self) -> None:
        for task in self._watchers:
            task.cancel()
        if self._watchers:
            await asyncio.wait(self._watchers, timeout=WATCHERS_STOP_S)

    async def _stop_parts(self) -> None:
        """End all processes, in order while there is time, at once when somebody asks again."""
        stopping = asyncio.ensure_future(self.parts.stop(hurried=self.stop.asked.is_set()))
        try:
            await first_of(_await(stopping), self.stop.forced)
        except InterruptedWork:
            await self.parts.kill()


async def _await(future: "asyncio.Future[None]") -> None:
    await future
