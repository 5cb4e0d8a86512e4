"""The closing words of a demo: small sums that a reader can check with the eye."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mts_stream.local.demo.accounts import Accounts
from mts_stream.local.demo.episodes import Comparison
from mts_stream.local.demo.faults import table_lines

MISSED_SHOWN = 5


@dataclass(slots=True)
class Outcome:
    """Everything a demo can say of itself when it has ended."""

    accounts: Accounts = field(default_factory=Accounts)
    comparison: Comparison = field(default_factory=Comparison)
    reasons: list[str] = field(default_factory=list)
    untrue_ids: list[str] = field(default_factory=list)
    timeline: dict[str, float] = field(default_factory=dict)
    resident_mib_peak: float = 0.0
    cpu_idle_share: float | None = None
    cpu_cores: float = 0.0
    recorded: int | None = None

    def done_line(self) -> dict[str, Any]:
        """The closing line of `--json`: the agreed keys, and more after them."""
        return self.accounts.done_line() | {
            "episodes": self.comparison.counts() | {"missed_why": self.reasons},
            "signals": {
                "verified": self.accounts.verified,
                "unverified": self.accounts.unverified,
                "untrue": self.accounts.untrue,
                "untrue_ids": self.untrue_ids,
            },
            "faults_unmet": self.accounts.faults_unmet,
            "first_opportunity_s": self.timeline.get("first_opportunity"),
            "timeline_s": self.timeline,
            "resident_mib": round(self.resident_mib_peak),
            "cpu_idle_share": None if self.cpu_idle_share is None else round(self.cpu_idle_share, 3),
            "cpu_cores": round(self.cpu_cores, 2),
            "repeats": self.accounts.repeats,
            "skipped": self.accounts.handled.skipped,
            "workers_lost": self.accounts.workers_lost,
            "complete": not self.accounts.unfinished,
            "problems": self.accounts.problems(),
        }


def summary_lines(outcome: Outcome) -> list[str]:
    """The summary for people."""
    accounts = outcome.accounts
    told = [*_episodes(outcome), *_truth(accounts), *_machine(outcome), *_verdict(accounts)]
    return ["", *_sums(accounts), *_faults(accounts), "", *told]


def _sums(accounts: Accounts) -> Iterator[str]:
    handled = accounts.handled
    left = [
        ("records evaluated", handled.evaluated),
        ("not for evaluation", handled.not_evaluated),
        ("dead", handled.dead),
    ]
    right = [("rows in ClickHouse", accounts.stored), ("refused by the sink", accounts.refused)]
    columns = [_column(left, "published", accounts.published), _column(right, "results on topics", accounts.results)]
    height = max(map(len, columns))
    for a, b in zip(*(_padded(column, height) for column in columns), strict=True):
        yield f"  {a}      {b}".rstrip()


def _column(parts: Sequence[tuple[str, int]], whole: str, count: int) -> list[str]:
    rows = [f"{name:<20}{number:>12,}" for name, number in parts]
    return [*rows, f"{'':<20}{'-' * 12}", f"{whole:<20}{count:>12,}"]


def _padded(column: list[str], height: int) -> list[str]:
    """The column with empty rows on top, so that all end on one line."""
    return [" " * len(column[0])] * (height - len(column)) + column


def _episodes(outcome: Outcome) -> Iterator[str]:
    counts = outcome.comparison.counts()
    yield (
        f"  episodes: {counts['expected']} expected, {counts['found']} found, {counts['missed']} missed; "
        f"{counts['found_without']} opportunities without one"
    )
    for reason in outcome.reasons[:MISSED_SHOWN]:
        yield f"    missed {reason}"


def _truth(accounts: Accounts) -> Iterator[str]:
    yield (
        f"  signals held against the true books: {accounts.verified} true, {accounts.untrue} untrue, "
        f"{accounts.unverified} too late to tell"
    )


def _faults(accounts: Accounts) -> Iterator[str]:
    if accounts.faults:
        yield ""
        yield f"  faults played: {sum(accounts.faults.values())}, of {len(accounts.faults)} classes"
        yield from (f"    {line}" for line in table_lines(accounts.faults))
        if accounts.faults_unmet:
            yield f"    met by nobody: {', '.join(accounts.faults_unmet)}"


def _machine(outcome: Outcome) -> Iterator[str]:
    idle = "" if outcome.cpu_idle_share is None else f", the machine {outcome.cpu_idle_share:.0%} idle"
    first = outcome.timeline.get("first_opportunity")
    shown = "none was seen" if first is None else f"{first:.1f} s after the start"
    yield f"  first opportunity on the page: {shown}"
    memory = f"memory at most {outcome.resident_mib_peak:,.0f} MiB"
    if outcome.accounts.workers_lost:
        lost = ", ".join(outcome.accounts.workers_lost)
        yield f"  {lost} ended unasked: its last counts are not among the records above, its work is with the others"
    yield f"  all processes: {memory}, CPU {outcome.cpu_cores:.2f} cores{idle}"
    if outcome.recorded is not None:
        yield f"  recorded: {outcome.recorded:,} raw records"


def _verdict(accounts: Accounts) -> Iterator[str]:
    problems = accounts.problems()
    if not problems:
        yield f"  all adds up: lost {accounts.lost}, doubled {accounts.doubled}, false signals {accounts.false_signals}"
    for problem in problems:
        yield f"  {problem}"
