"""What all engines in Python share: their options, the job they do, and how they are measured.

CPU is the whole process's, all threads, from the first message that the engine hands over to the last result that the
broker has confirmed; imports, group and assignment come before it, in every engine alike.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from mts_stream.domain.kernel import kernel
from tests.benchmarks.same_job import counting
from tests.benchmarks.same_job.counting import CountingJob
from tests.benchmarks.same_job.job import Job

BATCH = 500
LINGER_MS = 5
ACKS = "all"
COMPRESSION = "lz4"


class Options(NamedTuple):
    """What an engine is told."""

    kafka: str
    topic: str
    results: str
    group: str
    records: int
    partitions: int
    kernel: str
    log: str
    directory: str


def options() -> Options:
    """From the command line."""
    parser = argparse.ArgumentParser()
    for name in ("kafka", "topic", "results", "group", "kernel", "log", "directory"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("records", "partitions"):
        parser.add_argument(f"--{name}", type=int, required=True)
    return Options(**vars(parser.parse_args()))


class Meter:
    """Counts records; the clock runs from the first one on."""

    def __init__(self, records: int) -> None:
        self._records, self.seen = records, 0
        self._cpu_s = self._wall_s = 0.0

    def saw(self, count: int) -> bool:
        """So many are about to be handled; True with the last of all."""
        if not self.seen:
            self._cpu_s, self._wall_s = time.process_time(), time.perf_counter()
        self.seen += count
        return self.seen >= self._records

    def show(self, **more: Any) -> None:
        """All is confirmed: the measurement as a line of JSON."""
        assert self.seen == self._records, f"{self.seen} records came, not {self._records}"
        measured = {"cpu_s": time.process_time() - self._cpu_s, "wall_s": time.perf_counter() - self._wall_s}
        sys.stdout.write(json.dumps({"records": self.seen} | measured | more) + "\n")
        sys.stdout.flush()


def job_of(given: Options) -> "Job | CountingJob":
    """A new job on the kernel that is wanted, or the one that only counts."""
    if given.kernel == counting.KERNEL:
        return CountingJob(given.records)
    return Job(kernel(given.kernel))  # type: ignore[arg-type]


def values_of(log: str) -> list[bytes]:
    """The values of the log, as a file of lines `key value`."""
    return [line.partition(b" ")[2] for line in Path(log).read_bytes().splitlines()]


def main(run: Callable[[Options, Meter], None]) -> None:
    """Run an engine as a process."""
    given = options()
    run(given, Meter(given.records))
