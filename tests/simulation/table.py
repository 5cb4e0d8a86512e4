"""The outcomes of all runs as one table: fault, seeds, detected within, recovered within, wrong books."""

from collections.abc import Sequence
from itertools import groupby

from tests.simulation.bounds import bound_of
from tests.simulation.scenarios import Outcome

HEAD = (
    "fault", "seeds", "runs", "books compared", "detected within s", "stated", "recovered within s", "stated",
    "wrong books", "signals", "false signals", "failed runs",
)  # fmt: skip


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """Markdown lines; the mix comes last."""
    ordered = sorted(outcomes, key=lambda one: (one.fault == "mixed", one.fault))
    rows = [_row(name, list(group)) for name, group in groupby(ordered, key=lambda one: one.fault)]
    widths = [max(len(cell) for cell in column) for column in zip(HEAD, *rows, strict=True)]
    lines = [_line(HEAD, widths), "|".join(["", *("-" * (width + 2) for width in widths), ""])]
    return lines + [_line(row, widths) for row in rows]


def _row(name: str, group: list[Outcome]) -> tuple[str, ...]:
    bound = bound_of(name)
    cells = (
        len({one.seed for one in group}),
        len(group),
        sum(one.compared for one in group),
        f"{max(one.seen_s for one in group):.2f}",
        f"{bound.seen_s:.1f}",
        f"{max(one.recovered_s for one in group):.2f}",
        f"{bound.recovered_s:.1f}",
        sum(one.wrong for one in group),
        sum(one.signals for one in group),
        sum(one.false_signals for one in group),
        sum(bool(one.problems) for one in group),
    )
    return name, *map(str, cells)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "|".join(["", *(f" {cell:<{width}} " for cell, width in zip(cells, widths, strict=True)), ""])
