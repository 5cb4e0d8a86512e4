"""The books of one demo: every record and every result is counted once, and the counts must add up."""

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
    `surplus` the rows beyond their results, `refused` the results that the sink sent to the dead letters.
    """

    published: int = 0
    handled: Handled = field(default_factory=Handled)
    results: int = 0
    repeats: int = 0
    stored: int = 0
    missing: int = 0
    surplus: int = 0
    refused: int = 0
    false_signals: int = 0
    confirmed: int | None = None
    resumed: bool = False
    unfinished: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Results that neither a table nor a dead letter holds."""
        return max(0, self.missing - self.refused)

    @property
    def doubled(self) -> int:
        """Rows that no result, or an already stored one, explains."""
        return self.surplus

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
        if self.false_signals:
            found.append(f"signals: {self.false_signals} opened where no episode was")
        return found

    def _records_add_up(self) -> bool:
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
            "faults": {},
        }
