"""The books of one demo: every record and every result is counted once, and the counts must add up."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Handled:
    """What became of the raw records that the worker read, from its own counters."""

    evaluated: int = 0
    not_evaluated: int = 0
    dead: int = 0
    skipped: int = 0

    @property
    def total(self) -> int:
        """Records handled for the first time; those skipped were already held by a checkpoint."""
        return self.evaluated + self.not_evaluated + self.dead


@dataclass(slots=True)
class Accounts:
    """All counts of a demo's end.

    `published` counts the records of the raw topic that were this run's to handle, `results` the distinct messages
    on the result topics, `stored` the rows in ClickHouse's primary tables, `missing` the results without a row,
    `surplus` the rows beyond their results, `refused` the results that the sink sent to the dead letters;
    `without_episode` the opportunities that no labelled episode explains, `untrue` the signals whose books were not
    the true ones, `verified` those whose books were, `unverified` those whose books the simulator has forgotten;
    `faults` how often each class of fault began, `faults_unmet` the classes that met nobody; `workers_lost` the
    workers that were killed, whose last counts nobody has seen.
    """

    published: int = 0
    handled: Handled = field(default_factory=Handled)
    results: int = 0
    repeats: int = 0
    stored: int = 0
    missing: int = 0
    surplus: int = 0
    refused: int = 0
    without_episode: int = 0
    untrue: int = 0
    verified: int = 0
    unverified: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    faults_unmet: list[str] = field(default_factory=list)
    confirmed: int | None = None
    resumed: bool = False
    workers_lost: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Results that neither a table nor a dead letter holds."""
        return max(0, self.missing - self.refused)

    @property
    def doubled(self) -> int:
        """Rows that no result, or an already stored one, explains."""
        return self.surplus

    @property
    def false_signals(self) -> int:
        """Signals that should not be, by the books' truth or by the episodes; one that is both counts twice."""
        return self.untrue + self.without_episode

    def problems(self) -> list[str]:
        """Every line that does not add up, in words; empty when all do."""
        found = [f"not finished: {what}" for what in self.unfinished]
        if not self._records_add_up():
            h = self.handled
            found.append(
                f"records: {self.published} published, but {h.evaluated} evaluated + {h.not_evaluated} not for "
                f"evaluation + {h.dead} dead = {h.total}"
            )
        if self.confirmed is not None and self.confirmed > self.published:
            # Fewer is no fault: somebody else may have sent some as well.
            found.append(f"producers: {self.confirmed} records confirmed by Kafka, {self.published} in the topic")
        if self.lost or self.doubled:
            found.append(
                f"results: {self.results} on the topics, {self.stored} rows stored: {self.lost} lost, "
                f"{self.doubled} doubled"
            )
        return [*found, *self._false()]

    def _false(self) -> Iterator[str]:
        if self.without_episode:
            yield f"signals: {self.without_episode} opened where no episode was"
        if self.untrue:
            yield f"signals: {self.untrue} from books that were not the true ones"
        if self.unverified and not self.verified:
            yield f"signals: none of {self.unverified} could be held against the true books"

    def _records_add_up(self) -> bool:
        if self.workers_lost:  # then the committed end of the raw topic says that all were handled, see the drain
            return True
        # After an unclean end of an earlier run its checkpoints hold records that count as skipped now.
        slack = self.handled.skipped if self.resumed else 0
        return self.handled.total <= self.published <= self.handled.total + slack

    def done_line(self) -> dict[str, Any]:
        """The keys of the closing line of `--json`."""
        return {
            "event": "done",
            "published": self.published,
            "evaluated": self.handled.evaluated,
            "not_evaluated": self.handled.not_evaluated,
            "dead": self.handled.dead,
            "results": self.results,
            "stored": self.stored,
            "refused": self.refused,
            "lost": self.lost,
            "doubled": self.doubled,
            "false_signals": self.false_signals,
            "faults": self.faults,
        }
