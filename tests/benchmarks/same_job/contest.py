"""Engines taking turns on one ground: what each took, and what each said."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.same_job.bars import Turn
from tests.benchmarks.same_job.engines.catalog import Engine
from tests.benchmarks.same_job.ground import TOPIC, Ground
from tests.benchmarks.same_job.log import Message, digest

TURN_TIMEOUT_S = 120


def tell(line: str) -> None:
    """Progress, to people."""
    print(line, file=sys.stderr, flush=True)


class Contest:
    """All turns of all engines on one ground."""

    def __init__(self, ground: Ground, log: list[Message], directory: Path) -> None:
        self._ground, self._log, self._directory = ground, log, directory
        self._log_path = directory / "log"
        self._log_path.write_bytes(b"".join(b"%b %b\n" % message for message in log))
        self.turns: dict[str, list[Turn]] = {}
        self.digests: dict[str, set[str]] = {}
        self.more: dict[str, dict[str, Any]] = {}
        self._number = 0

    def take(self, engine: Engine) -> None:
        """One turn of an engine."""
        self._number += 1
        name = f"{engine.name}.{self._number}"
        where = self._directory / name
        where.mkdir()
        results = str(where / "results") if engine.name == "in_process" else name
        if engine.name != "in_process":
            self._ground.make_topic(name)
        options = {
            "kafka": self._ground.address, "topic": TOPIC, "results": results, "group": name,
            "records": len(self._log), "partitions": self._ground.partitions, "kernel": engine.kernel,
            "log": self._log_path, "directory": where,
        }  # fmt: skip
        command = [*engine.command(), *(f"--{key}={value}" for key, value in options.items())]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TURN_TIMEOUT_S, env=engine.environment(), cwd=where
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode or not lines:
            raise SystemExit(f"{engine.name} ended with {done.returncode}:\n{done.stderr[-4000:]}")
        measured = json.loads(lines[-1])
        turn = Turn(measured.pop("records"), measured.pop("cpu_s"), measured.pop("wall_s"))
        found = _read(Path(results)) if engine.name == "in_process" else self._ground.results(name)
        self.turns.setdefault(engine.name, []).append(turn)
        self.digests.setdefault(engine.name, set()).add(digest(found))
        self.more.setdefault(engine.name, {}).update(measured, results=len(found))
        tell(f"  {engine.name:22} {turn.per_cpu_s:>10,.0f} /CPU s {turn.per_s:>10,.0f} /s  {len(found)} results")
        shutil.rmtree(where, ignore_errors=True)


def _read(path: Path) -> list[Message]:
    parts = (line.partition(b" ") for line in path.read_bytes().splitlines())
    return [(key, value) for key, _, value in parts]
