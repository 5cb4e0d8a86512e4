"""The labelled truth of a run: every episode as it was applied, in memory and as a growing JSON-lines file."""

from collections import deque
from pathlib import Path
from typing import Any, TextIO

import orjson

from mts_stream.errors import UsageError
from producers.simulator.economics import Judgement
from producers.simulator.episodes import EpisodePlan

EPISODES_MAX = 10_000
"""Episodes kept in memory; the file keeps all."""


class Truth:
    """Records episodes as they begin and end; one line is written when an episode has ended, or when the run does."""

    def __init__(self, path: Path | None) -> None:
        self.episodes: deque[dict[str, Any]] = deque(maxlen=EPISODES_MAX)
        self._running: dict[int, dict[str, Any]] = {}
        self._file = LineFile(path)

    def begin(self, plan: EpisodePlan, judgement: Judgement, now_ns: int) -> None:
        """An episode's displacement was applied to the book now."""
        expect = "signal" if judgement.expected else "borderline" if judgement.borderline else "none"
        episode = {
            "id": plan.id,
            "pair": plan.pair,
            "venue": plan.leg[0],
            "market": plan.leg[1],
            "start_ns": now_ns,
            "end_ns": None,
            "displacement_bps": plan.displacement_bps,
            "expect": expect,
            "directions": list(judgement.expected),
            "borderline": list(judgement.borderline),
        }
        self._running[plan.id] = episode
        self.episodes.append(episode)

    def end(self, plan: EpisodePlan, now_ns: int) -> None:
        """The displacement was taken back now."""
        self._write(self._running.pop(plan.id), now_ns)

    def close(self, now_ns: int) -> None:
        """End what still runs, since the books end too, and close the file."""
        for episode in list(self._running.values()):
            self._write(episode, now_ns)
        self._running.clear()
        self._file.close()

    def _write(self, episode: dict[str, Any], now_ns: int) -> None:
        episode["end_ns"] = now_ns
        self._file.write(episode)


class LineFile:
    """A file of JSON lines that is flushed with each; without a path it is nothing."""

    def __init__(self, path: Path | None) -> None:
        self._file = _open(path)

    def write(self, row: dict[str, Any]) -> None:
        """Append one line."""
        if self._file is not None:
            self._file.write(orjson.dumps(row).decode() + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file; once is enough."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _open(path: Path | None) -> TextIO | None:
    if path is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"truth file {path}: {error.strerror}; give a path that can be written") from error
