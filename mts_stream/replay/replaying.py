"""All captures into one folder, which never holds half a result; twice, and compared, where that is asked for."""

import shutil
from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.kernel import KernelChoice
from mts_stream.errors import ReplayDiffersError
from mts_stream.replay.captures import ignore
from mts_stream.replay.processes import run_jobs
from mts_stream.replay.running import FILES, STEADY, UNSTEADY, Job, Pace, Summary

SHOWN_CHARS = 300


def replay(
    captures: Sequence[Path], out: Path, settings: EconomicSettings, on_bytes: Callable[[int], None] = ignore,
    *, processes: int = 1, check: bool = False, kernel: KernelChoice = "auto",
) -> Summary:  # fmt: skip
    """Write `signals.jsonl`, `spreads.jsonl`, `quality.jsonl`, `funding.jsonl` and `dlq.jsonl` of captures, in order.

    Each capture is a partition of its own. The files take their names when all are whole. `on_bytes` is told how many
    bytes of the captures were read, with `check` of both runs.
    Raises SettingsError for a fee that the table lacks, ReplayDiffersError where a check fails, OSError.
    """
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".replay-", dir=out) as name:
        first = _jobs(captures, settings, Path(name) / "first", STEADY, kernel)
        second = _jobs(captures, settings, Path(name) / "second", UNSTEADY, kernel) if check else []
        summaries = run_jobs([*first, *second], processes, on_bytes)
        for job, again in zip(first, second, strict=False):
            _compare(job, again)
        _publish([job.folder for job in first], out)
    summary = Summary()
    for part in summaries[: len(first)]:
        summary.add(part)
    return summary


def _jobs(
    captures: Sequence[Path], settings: EconomicSettings, folder: Path, pace: Pace, kernel: KernelChoice
) -> list[Job]:
    return [
        Job(capture, number, folder / str(number), settings, pace, kernel) for number, capture in enumerate(captures)
    ]


def _compare(first: Job, second: Job) -> None:
    """Raises ReplayDiffersError at the first line in which two runs of a capture differ."""
    for name in FILES:
        with (first.folder / name).open("rb") as one, (second.folder / name).open("rb") as other:
            for number, (here, there) in enumerate(zip_longest(one, other), start=1):
                if here != there:
                    raise ReplayDiffersError(
                        f"check: two replays of {first.capture} differ in {name}, line {number}: "
                        f"{_shown(here)} without, {_shown(there)} with restarts; nothing was written"
                    )


def _shown(line: bytes | None) -> str:
    return "no line" if line is None else line.decode(errors="replace").strip()[:SHOWN_CHARS]


def _publish(folders: Sequence[Path], out: Path) -> None:
    """Put the parts of each file together and give them their names."""
    first, *others = folders
    for name in FILES:
        with (first / name).open("ab") as whole:
            for folder in others:
                with (folder / name).open("rb") as part:
                    shutil.copyfileobj(part, whole)
    for name in FILES:
        (first / name).replace(out / name)
