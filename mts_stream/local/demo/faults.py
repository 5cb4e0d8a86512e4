"""The faults that the simulator played, as its truth tells them; pure but for reading its file."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COLUMNS = 3
NAME_WIDTH = 24


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One fault that began: its class, whom it concerned ("bybit spot BTCUSDT"), whether it runs, whom it met."""

    name: str
    place: str
    is_running: bool
    hits: int


def fault_rows(rows: Iterable[dict[str, Any]]) -> list[FaultRow]:
    """The rows of the simulator's truth."""
    return [FaultRow(row["name"], _place(row), row["end_ns"] is None, row["hits"]) for row in rows]


def _place(row: dict[str, Any]) -> str:
    return " ".join(row[part] for part in ("venue", "market", "symbol") if row[part])


def read_faults(path: Path) -> list[FaultRow]:
    """The faults of a truth file, one JSON object a line; none without the file."""
    if not path.exists():
        return []
    return fault_rows(json.loads(line) for line in path.read_text().splitlines() if line.strip())


def counts_of(rows: Iterable[FaultRow]) -> dict[str, int]:
    """How often each class began, by name in alphabetic order."""
    return dict(sorted(Counter(row.name for row in rows).items()))


def unmet(rows: Iterable[FaultRow]) -> list[str]:
    """The classes that began but met nobody: a REST answer that failed while no one asked, say."""
    hits: Counter[str] = Counter()
    for row in rows:
        hits[row.name] += row.hits
    return sorted(name for name, count in hits.items() if not count)


def in_force(rows: Sequence[FaultRow]) -> str:
    """The running faults in a line, the newest first."""
    return ", ".join(f"{row.name} {row.place}" for row in reversed(rows)) or "none at the moment"


def table_lines(counts: dict[str, int]) -> list[str]:
    """The counts in columns, to be read downwards."""
    cells = [f"{name:<{NAME_WIDTH}}{count:>3}" for name, count in counts.items()]
    height = -(-len(cells) // COLUMNS)
    return ["   ".join(cells[row::height]) for row in range(height)]
