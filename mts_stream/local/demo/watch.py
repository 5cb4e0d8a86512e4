"""The demo's eyes: it reads the result topics and the workers' metrics while everything runs."""

import asyncio
import math
import time
from dataclasses import dataclass, field

import aiohttp
import psutil

from mts_stream.local.demo.accounts import Handled
from mts_stream.local.demo.ledger import ResultLedger
from mts_stream.local.demo.live_state import LiveState
from mts_stream.local.demo.options import Addresses
from mts_stream.local.demo.rates import Rate, read_counters, total
from mts_stream.local.demo.threads import in_thread
from mts_stream.local.demo.truth import TruthWatch
from mts_stream.local.demo.view import Figures
from mts_stream.settings import Settings
from mts_stream.wire.kafka import Reader, Record
from mts_stream.wire.topics import DEAD_LETTERS, RESULT_TOPICS

POLL_S = 0.2
SCRAPE_INTERVAL_S = 1.0
SCRAPE_TIMEOUT_S = 2.0

Counters = dict[tuple[str, str], float]


class ResultWatch:
    """Reads every result from the beginning into a ledger and the live state, one poll at a time in a thread."""

    def __init__(self, settings: Settings, truth: TruthWatch) -> None:
        self.truth = truth
        self.ledger = ResultLedger()
        self.state = LiveState()
        self.rate = Rate()
        self._settings = settings

    async def run(self) -> None:
        """Read until cancelled."""
        reader = await in_thread(Reader, self._settings, (*RESULT_TOPICS, DEAD_LETTERS))
        poll: asyncio.Future[list[Record]] | None = None
        try:
            while True:
                poll = asyncio.ensure_future(in_thread(reader.poll, POLL_S))
                self.on_records(await asyncio.shield(poll))
        finally:
            # The thread cannot be cancelled, and the reader must not be closed below it.
            if poll is not None:
                await asyncio.wait({poll})
            await in_thread(reader.close)

    def on_records(self, records: list[Record]) -> None:
        """Count and show what was read."""
        new = self.ledger.on_records(records)
        self.state.on_results(new)
        self.truth.on_results(new)
        self.rate.add(time.monotonic(), self.ledger.results)


@dataclass(slots=True)
class MetricsWatch:
    """Scrapes the processes' metrics once a second and measures what the parts take of the machine."""

    addresses: Addresses
    figures: Figures = field(default_factory=Figures)
    counters: dict[str, Counters] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    resident_mib_peak: float = 0.0
    idle_shares: list[float] = field(default_factory=list)
    cores: Rate = field(default_factory=lambda: Rate(window_s=math.inf))
    _records: Rate = field(default_factory=Rate)
    _evaluated: Rate = field(default_factory=Rate)

    async def run(self) -> None:
        """Scrape until cancelled."""
        psutil.cpu_times_percent()  # the first call only sets the beginning
        async with _session() as session:
            while True:
                await self._scrape(session)
                self._measure()
                await asyncio.sleep(SCRAPE_INTERVAL_S)

    async def scrape_once(self) -> None:
        """Bring the counters up to date now."""
        async with _session() as session:
            await self._scrape(session)

    async def _scrape(self, session: aiohttp.ClientSession) -> None:
        """Take every process's counters; those of one that does not answer stay as they were."""
        for process, url in self.addresses.metrics.items():
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        self.counters[process] = read_counters(await answer.text())
                        self.silent.discard(process)
            except (aiohttp.ClientError, TimeoutError, ValueError):
                self.silent.add(process)
        now = time.monotonic()
        self._records.add(now, self.handled().total)
        self._evaluated.add(now, self.handled().evaluated)
        self.figures.records_s, self.figures.evaluations_s = self._records.per_s, self._evaluated.per_s
        self.figures.shares = self.shares() if len(self.addresses.workers) > 1 else {}

    def handled(self) -> Handled:
        """What the worker did with the records, as it last said."""
        names = ("evaluated", "not_evaluated", "dead", "skipped")
        workers = [self.counters.get(worker, {}) for worker in self.addresses.workers]
        return Handled(*(sum(total(each, "mts_records_total", [name]) for each in workers) for name in names))

    def shares(self) -> dict[str, list[int]]:
        """Which partitions each worker that answers works on, as it last said."""
        return {
            worker: sorted(int(label) for name, label in self.counters[worker] if name == "mts_event_lag_seconds")
            for worker in self.addresses.workers
            if worker in self.counters and worker not in self.silent
        }

    def _measure(self) -> None:
        self.figures.resident_mib, cpu_s = usage()
        self.cores.add(time.monotonic(), cpu_s)
        self.resident_mib_peak = max(self.resident_mib_peak, self.figures.resident_mib)
        self.figures.idle_share = psutil.cpu_times_percent().idle / 100
        self.idle_shares.append(self.figures.idle_share)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SCRAPE_TIMEOUT_S))


def usage() -> tuple[float, float]:
    """Resident MiB and CPU seconds of this process and everything below it; shared pages count in each process."""
    me = psutil.Process()
    times = me.cpu_times()
    each = [_usage(process) for process in (me, *me.children(recursive=True))]
    ended_s = times.children_user + times.children_system
    return sum(size for size, _ in each) / 2**20, ended_s + sum(cpu_s for _, cpu_s in each)


def _usage(process: psutil.Process) -> tuple[int, float]:
    try:
        times = process.cpu_times()
        return int(process.memory_info().rss), times.user + times.system
    except psutil.Error:
        return 0, 0.0  # it has ended since it was listed
