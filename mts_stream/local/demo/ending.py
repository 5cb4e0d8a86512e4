"""The end of a demo: producers first, then everything handled and stored, then the books are closed."""

import asyncio
import json
import time
from dataclasses import dataclass, field

from mts_stream.errors import StoreError
from mts_stream.local.demo.accounts import Accounts
from mts_stream.local.demo.drain import Span, end_offsets, wait_sink, wait_worker
from mts_stream.local.demo.episodes import Comparison, Episode, compare, read_episodes
from mts_stream.local.demo.faults import counts_of, read_faults, unmet
from mts_stream.local.demo.parts import DemoParts
from mts_stream.local.demo.record import write_recording
from mts_stream.local.demo.store import StoreQuery
from mts_stream.local.demo.stored import compare_stored, why_missed
from mts_stream.local.demo.summary import MISSED_SHOWN, Outcome
from mts_stream.local.demo.threads import in_thread
from mts_stream.local.demo.timeline import Timeline
from mts_stream.local.demo.watch import MetricsWatch, ResultWatch
from mts_stream.wire.topics import RAW, RESULT_TOPICS

DRAIN_S = 120.0
HURRIED_DRAIN_S = 4.0
"""Whoever pressed Ctrl-C has an answer and the terminal back within ten seconds."""
PRODUCERS_STOP_S = 6.0
HURRIED_PRODUCERS_STOP_S = 2.8
CATCH_UP_POLL_S = 0.05
GIVEN_UP_S = 1.0
SETTLE_S = 1.0


@dataclass(slots=True)
class Ending:
    """Winds a demo down; `hurried` when somebody waits for it."""

    parts: DemoParts
    results: ResultWatch
    metrics: MetricsWatch
    begins: dict[tuple[str, int], int]
    started_ns: int
    hurried: bool
    timeline: Timeline
    _deadline: float = field(init=False)

    def __post_init__(self) -> None:
        self._deadline = time.monotonic() + (HURRIED_DRAIN_S if self.hurried else DRAIN_S)

    async def close_books(self) -> Outcome:
        """Everything that is known of the run; raises MtsError when it cannot be counted."""
        accounts = Accounts(resumed=any(self.begins.values()))
        await self._end_producers(accounts)
        await self._drain(accounts)
        stopping = asyncio.create_task(self.parts.stop_children(self.hurried))
        try:
            outcome = await self._count(accounts)
            self.timeline.mark("counted")
        finally:
            await stopping
        self.timeline.mark("children_ended")
        return outcome

    async def _end_producers(self, accounts: Accounts) -> None:
        timeout_s = HURRIED_PRODUCERS_STOP_S if self.hurried else PRODUCERS_STOP_S
        await self.results.truth.settle(SETTLE_S)  # the simulator, which knows what was true, ends with them
        code = await self.parts.stop_producers(timeout_s)
        if code != 0:
            accounts.unfinished.append(
                f"producers ended with code {code}, see {self.parts.child('producers').log_path}"
            )
        self.timeline.mark("producers_ended")
        accounts.confirmed = confirmed_records(self.parts.child("producers").log_tail())

    async def _drain(self, accounts: Accounts) -> None:
        settings = self.parts.settings
        accounts.workers_lost = self.parts.watched.lost
        left = await wait_worker(settings, self._left_s())
        if left:
            accounts.unfinished.append(f"the worker is {left} records behind")
        ends = await in_thread(end_offsets, settings, RAW)
        accounts.published = Span(self.begins, ends).records
        await self.metrics.scrape_once()
        accounts.handled = self.metrics.handled()
        self.timeline.mark("handled")
        left = await wait_sink(settings, self._left_s())
        if left:
            accounts.unfinished.append(f"the sink is {left} results behind")
        await self._catch_up(accounts)
        self.timeline.mark("all_stored")

    async def _catch_up(self, accounts: Accounts) -> None:
        """Until our own reader has seen every result."""
        ends = await in_thread(end_offsets, self.parts.settings, *RESULT_TOPICS)
        deadline = time.monotonic() + max(1.0, self._left_s())
        while not self.results.ledger.reached(ends):
            if time.monotonic() > deadline:
                accounts.unfinished.append("not all results were read")
                return
            await asyncio.sleep(CATCH_UP_POLL_S)

    async def _count(self, accounts: Accounts) -> Outcome:
        ledger = self.results.ledger
        accounts.results, accounts.repeats, accounts.refused = ledger.results, ledger.repeats, len(ledger.refused)
        comparison = compare(read_episodes(self.parts.truth.episodes), ledger.opened, self.started_ns)
        await self._judge(accounts, comparison)
        store = StoreQuery(self.parts.settings)
        try:
            stored = await compare_stored(store, ledger, self.started_ns // 1_000_000)
            reasons = [await _reason(store, episode) for episode in comparison.missed[:MISSED_SHOWN]]
        finally:
            await store.close()
        accounts.stored, accounts.missing, accounts.surplus = stored.rows, stored.missing, stored.surplus
        return self._outcome(accounts, comparison, reasons)

    async def _judge(self, accounts: Accounts, comparison: Comparison) -> None:
        """Under faults the books' truth alone decides: a venue that breaks has edges that no episode made."""
        truth = self.results.truth
        await truth.settle(SETTLE_S)
        counts = truth.verdicts.counts
        accounts.verified, accounts.untrue = counts["verified"], counts["untrue"]
        accounts.unverified = counts["unverified"] + truth.unjudged
        if self.parts.options.faults:
            played = read_faults(self.parts.truth.faults)
            accounts.faults, accounts.faults_unmet = counts_of(played), unmet(played)
        else:
            accounts.without_episode = len(comparison.found_without)

    def _outcome(self, accounts: Accounts, comparison: Comparison, reasons: list[str]) -> Outcome:
        idle = self.metrics.idle_shares
        return Outcome(
            accounts, comparison, reasons, self.results.truth.verdicts.untrue_ids,
            resident_mib_peak=self.metrics.resident_mib_peak,
            cpu_idle_share=sum(idle) / len(idle) if idle else None,
            cpu_cores=self.metrics.cores.per_s,
        )  # fmt: skip

    def _left_s(self) -> float:
        return max(0.0, self._deadline - time.monotonic())


async def _reason(store: StoreQuery, episode: Episode) -> str:
    length_ms = (episode.end_ns - episode.start_ns) // 1_000_000
    what = f"{episode.pair} {episode.leg} ({length_ms} ms, episode {episode.id})"
    try:
        return f"{what}: {await why_missed(store, episode)}"
    except StoreError as error:
        return f"{what}: {error}"


def confirmed_records(log: str) -> int | None:
    """How many records Kafka confirmed, by the producers' own last word; None without one."""
    for line in reversed(log.splitlines()):
        if '"event"' in line and '"done"' in line:
            try:
                return int(json.loads(line)["published"])
            except (ValueError, KeyError, TypeError):
                return None
    return None


async def write_record(parts: DemoParts) -> int | None:
    """Write the recording, if one was asked for; gives its number of raw records."""
    directory = parts.options.record
    if directory is None:
        return None
    given_up = False
    writing = asyncio.ensure_future(in_thread(write_recording, parts.settings, directory, lambda: given_up))
    try:
        return await asyncio.shield(writing)
    finally:
        given_up = True
        await asyncio.wait({writing}, timeout=GIVEN_UP_S)
