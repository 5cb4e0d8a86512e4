"""What every figure of the whole worker is measured with: empty topics, a worker on its core, a log on its way.

Broker, driver and readers are on the first core, the worker has the second to itself: the figures are one core's. The
log is rendered before its first record is due, so that the driver takes little of the broker's core.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

import psutil

from mts_stream.settings import load_settings
from mts_stream.wire import topics
from tests.benchmarks.worker.checking import Checked
from tests.benchmarks.worker.figures import Figure
from tests.integration.worker_parts import Worker, clean, end_offsets

WORKER_CORE, OTHERS_CORE = {1}, {0}
PRECEDENCE = 5  # of the driver: it asks for little, and its schedule is what is measured against
SLIP_MAX_MS = 5.0
CONFIRMED_MAX_S = 1.0
DEADLINE_S = 900.0
POLL_S = 0.5  # /metrics is not asked more often: it is the worker that answers
NS_PER_S = 10**9


def tell(line: str) -> None:
    """Progress, to people."""
    print(line, file=sys.stderr, flush=True)


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and its children."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


class Drove(NamedTuple):
    """What a driver says of its run."""

    sent: int
    unconfirmed: int
    slip_p99_ms: float
    confirmed_after_s: float

    @property
    def is_void(self) -> bool:
        """Whether the driver, or the broker, was too late for the run to count."""
        return self.slip_p99_ms > SLIP_MAX_MS or self.confirmed_after_s > CONFIRMED_MAX_S

    @property
    def note(self) -> str:
        """How late, and whether the run counts."""
        late = f"driver's slip p99 {self.slip_p99_ms:.1f} ms, last confirmed after {self.confirmed_after_s:.2f} s"
        return late + (": RUN VOID" if self.is_void else "")


class Load:
    """A log on its way into Kafka; leaving the block ends it."""

    def __init__(
        self, kafka: str, pairs: int, rates: tuple[tuple[float, int], ...], *, paced: bool, lines: int | None
    ) -> None:
        text = ",".join(f"{rate}x{count}" for rate, count in rates)
        command = [sys.executable, "-m", "tests.benchmarks.worker.driving", f"--pairs={pairs}", f"--rates={text}",
                   f"--kafka={kafka}", *(["--paced"] if paced else []),
                   *([f"--lines={lines}"] if lines else [])]  # fmt: skip
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        os.sched_setaffinity(self._process.pid, OTHERS_CORE)
        with suppress(PermissionError):  # then it waits for the broker now and then, and the run may be void
            os.setpriority(os.PRIO_PROCESS, self._process.pid, os.getpriority(os.PRIO_PROCESS, 0) - PRECEDENCE)
        schedule = self._line()
        self.begin_ns, self.end_ns = schedule["begin_ns"], schedule["end_ns"]

    def _line(self) -> dict[str, Any]:
        out: IO[str] | None = self._process.stdout
        assert out is not None
        line = out.readline()
        assert line, "the driver failed"
        said: dict[str, Any] = json.loads(line)
        return said

    @property
    def has_ended(self) -> bool:
        """Whether all was sent, or it failed."""
        return self._process.poll() is not None

    def at_s(self) -> float:
        """Seconds since its beginning, which lies ahead at first."""
        return (time.time_ns() - self.begin_ns) / NS_PER_S

    def wait_until_s(self, at_s: float) -> None:
        """Return so many seconds after its beginning."""
        time.sleep(max(0.0, at_s - self.at_s()))

    def drove(self) -> Drove:
        """Wait until all of it is confirmed."""
        drove = Drove(**self._line())
        self._process.wait()
        assert not drove.unconfirmed, f"{drove.unconfirmed} records were not confirmed"
        return drove

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


class Handled(NamedTuple):
    """What a worker had done at a moment."""

    records: float
    cpu_s: float
    at_ns: int


class Bench:
    """The broker, and what every figure does on it."""

    def __init__(self, kafka: str, directory: Path, *, quick: bool) -> None:
        self.settings = load_settings(kafka_bootstrap_servers=kafka)
        self.directory, self.quick = directory, quick

    def clean(self) -> None:
        """Empty topics."""
        clean(self.settings)

    def worker(self, name: str = "") -> Worker:
        """A worker on its core."""
        worker = Worker(self.settings, self.directory, WORKER_INSTANCE_ID=name)
        os.sched_setaffinity(worker.process.pid, WORKER_CORE)
        return worker

    def load(self, pairs: int, *rates: tuple[float, int], paced: bool, lines: int | None = None) -> Load:
        """A log that is rendered and begins soon: so many records a second, so many of them; `lines` as in raw_log."""
        return Load(self.settings.kafka_bootstrap_servers, pairs, rates, paced=paced, lines=lines)

    def handled(self, worker: Worker, records: float) -> Handled:
        """Return when a worker has handled so many; gives how many there are by then."""
        deadline_s = time.monotonic() + DEADLINE_S
        while True:
            handled = Handled(worker.metric("mts_records_total"), cpu_s(worker.process.pid), time.time_ns())
            if handled.records >= records:
                return handled
            assert time.monotonic() < deadline_s, f"{handled.records:,.0f} of {records:,.0f} records handled"
            time.sleep(POLL_S)

    def logged(self) -> int:
        """How many records the raw log has."""
        return sum(end_offsets(self.settings, topics.RAW).values())


def right(name: str, checked: Checked, drove: Drove, *, may_repeat: bool) -> list[Figure]:
    """Whether nothing is lost, false, out of order, or, where nobody was killed, twice."""
    lost = drove.sent - checked.records + checked.lost
    twice = checked.foreign + (0 if may_repeat else checked.repeated)
    note = f"{checked.records:,} records, {checked.expected:,} results, each compared with the engine's"
    again = f"{checked.repeated:,} sent again, the same to the byte" if may_repeat else ""
    return [
        Figure(f"{name}: records or results lost", lost, "", 0.0, note=note, must=True),
        Figure(f"{name}: results false or doubled", twice, "", 0.0, note=again, must=True),
        Figure(f"{name}: results out of order", checked.disordered, "", 0.0, must=True),
        Figure(f"{name}: dead letters", checked.dead, "", 0.0, must=True),
    ]
