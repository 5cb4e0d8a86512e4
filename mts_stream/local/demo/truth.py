"""The demo's judge: while the simulator runs it is asked what every signal's books truly were, and what is broken."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from mts_stream.local.demo.claims import Claim, TrueTouches, Verdicts, claims_of, judge, touches_of
from mts_stream.local.demo.faults import FaultRow, fault_rows
from mts_stream.wire.kafka import Record
from mts_stream.wire.topics import SIGNALS

WAITING_MAX = 4096
"""Signals that wait for their judgement; more count as unverified, since their books are soon forgotten."""
KNOWN_MAX = 1024
ANSWER_S = 2.0
FAULTS_POLL_S = 0.5

BookPlace = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True)
class TruthFiles:
    """Where the simulator writes what it did, and where it can be asked."""

    episodes: Path
    faults: Path
    control: Path

    @classmethod
    def within(cls, directory: Path) -> "TruthFiles":
        """Their places in a demo's directory."""
        return cls(directory / "truth.jsonl", directory / "faults.jsonl", directory / "simulator-control.txt")


class TruthWatch:
    """Judges signals of this run in the order they came; `running_faults` is what is broken now."""

    def __init__(self, control: Path, since_ns: int) -> None:
        self.verdicts = Verdicts()
        self.running_faults: list[FaultRow] = []
        self._control, self._since_ns = control, since_ns
        self._waiting: asyncio.Queue[tuple[str, tuple[Claim, ...]]] = asyncio.Queue(WAITING_MAX)
        self._known: dict[BookPlace, TrueTouches] = {}

    def on_results(self, results: list[tuple[Record, dict[str, Any]]]) -> None:
        """New results, decoded; a message that is not ours is the sink's to refuse."""
        for record, message in results:
            if record.topic != SIGNALS:
                continue
            try:
                claims = claims_of(message) if message["event_time_ns"] >= self._since_ns else ()
            except (KeyError, TypeError, ArithmeticError):
                continue
            if claims:
                self._enqueue(str(message["id"]), claims)

    async def run(self, *, with_faults: bool) -> None:
        """Judge until cancelled."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
            group.create_task(self._judge_all(session))
            if with_faults:
                group.create_task(self._follow_faults(session))

    async def settle(self, timeout_s: float) -> None:
        """Wait until everything that came was judged, or for so long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._waiting.join()
        except TimeoutError:
            return  # what was not judged counts as unverified

    @property
    def unjudged(self) -> int:
        """Signals that still wait."""
        return self._waiting.qsize()

    def _enqueue(self, signal_id: str, claims: tuple[Claim, ...]) -> None:
        try:
            self._waiting.put_nowait((signal_id, claims))
        except asyncio.QueueFull:
            self.verdicts.add(signal_id, "unverified")

    async def _judge_all(self, session: aiohttp.ClientSession) -> None:
        while True:
            signal_id, claims = await self._waiting.get()
            judged = [(claim, await self._touches(session, claim)) for claim in claims]
            self.verdicts.add(signal_id, judge(judged))
            self._waiting.task_done()

    async def _touches(self, session: aiohttp.ClientSession, claim: Claim) -> TrueTouches | None:
        place = claim.venue, claim.market, claim.symbol, claim.sequence
        if place not in self._known:
            answer = await self._ask(session, "book", claim.place)
            touches = None if answer is None else touches_of(answer)
            if touches is None:
                return None
            while len(self._known) >= KNOWN_MAX:
                self._known.pop(next(iter(self._known)))
            self._known[place] = touches
        return self._known[place]

    async def _follow_faults(self, session: aiohttp.ClientSession) -> None:
        while True:
            answer = await self._ask(session, "faults", {})
            rows = [] if answer is None else fault_rows(answer["faults"])
            self.running_faults = [row for row in rows if row.is_running]
            await asyncio.sleep(FAULTS_POLL_S)

    async def _ask(self, session: aiohttp.ClientSession, what: str, query: dict[str, str]) -> dict[str, Any] | None:
        """The simulator's answer; None while it does not stand, and for what it does not know."""
        try:
            address = self._control.read_text().strip()
            async with session.get(f"{address}/{what}", params=query) as answer:
                return await answer.json() if answer.status == 200 else None
        except (OSError, aiohttp.ClientError, TimeoutError):
            return None
