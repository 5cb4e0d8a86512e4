"""How much a worker holds while something holds it up, before a log that is larger than all its bounds.

CHAOS_BACKLOG_MIB=1024, CHAOS_HELD_S=20 and CHAOS_FETCH_RECORDS_MAX=1000 make it longer (`make chaos`).
"""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from mts_stream.transport import plane
from mts_stream.wire.kafka import RESULTS_KIB_MAX
from mts_stream.worker_options import FETCHES_QUEUED_MAX
from tests.chaos.disturbances import broker_process
from tests.chaos.test_chaos import clean_settings
from tests.integration.worker_parts import Expected, Sent, Worker, capture, caught_up, feed, until

BACKLOG_MIB = int(os.environ.get("CHAOS_BACKLOG_MIB", "256"))
HELD_S = float(os.environ.get("CHAOS_HELD_S", "4"))
FETCH_RECORDS_MAX = int(os.environ.get("CHAOS_FETCH_RECORDS_MAX", "100"))
CATCHES_UP_S = 120.0
RECORD_BYTES = 100_000  # of a broken one; a dead letter keeps 64 KiB of it
AT_REST_MIB = 100  # of a worker with few pairs
FETCHED_MIB = (plane.QUEUED_KIB_MAX * 1024 + plane.FETCH_BYTES_MAX) / 2**20  # that librdkafka holds
FETCH_MIB = min(FETCHED_MIB, FETCH_RECORDS_MAX * RECORD_BYTES / 2**20)  # that is handed to the agent at once
MEMORY_MAX_MIB = AT_REST_MIB + FETCHED_MIB + (FETCHES_QUEUED_MAX + 1) * FETCH_MIB + RESULTS_KIB_MAX / 1024
LINES = 1500
SLOW_S = 0.02
LOOK_S = 0.2
STILL_LOOKS, STILL_MIB = 10, 4


class Held(NamedTuple):
    """What a worker holds at a moment, and how far it is."""

    memory_mib: float
    unconfirmed: float
    records: float


def test_a_worker_that_is_held_up_stops_to_read(kafka: str, tmp_path: Path) -> None:
    """By a slow engine first, by a broker that stands still then: memory stays below its bound, nothing is lost."""
    settings = clean_settings(kafka)
    feed(settings, list(backlog()))
    broker, slow = broker_process(kafka), tmp_path / "slow"
    slow.touch()
    environment = {"SLOW_S": str(SLOW_S), "SLOW_WHILE": str(slow), "FETCH_RECORDS_MAX": str(FETCH_RECORDS_MAX)}
    with Worker(settings, tmp_path, "tests.integration.slow_worker", **environment) as worker:
        until("it works", lambda: worker.ready().metric("mts_records_total") > 0)
        busy = watched(worker)
        broker.suspend()
        try:
            slow.unlink()
            still = watched(worker)
        finally:
            broker.resume()
        after: list[Held] = []
        until("all is committed", lambda: after.append(held_by(worker)) or caught_up(settings), CATCHES_UP_S)
        assert worker.stop() == 0

    most_mib = max(held.memory_mib for held in (*busy, *still, *after))
    print(f"\n{BACKLOG_MIB} MiB of log: slow {busy[-1]}, broker away {still[-1]}, after {after[-1]}")
    print(f"at most {most_mib:.0f} MiB, bound {MEMORY_MAX_MIB:.0f}")
    assert most_mib < MEMORY_MAX_MIB
    assert busy[-1].records < still[-1].records < after[-1].records
    assert len({held.records for held in still[len(still) // 2 :]}) == 1
    assert max(held.unconfirmed for held in still) <= settings.results_unsent_max
    expected, sent = Expected.of(settings), Sent.of(settings)
    assert sent.results == expected.results
    assert sent.dead == expected.dead


def backlog() -> Iterator[bytes]:
    """A capture, and between its lines large records that nobody can read and no compression makes smaller."""
    lines, bytes_of = capture("random-a", LINES), random.Random(1)
    large, before = BACKLOG_MIB * 2**20 // RECORD_BYTES, 0
    for number, line in enumerate(lines, start=1):
        yield line
        due = large * number // len(lines)
        for count in range(before, due):
            text = bytes_of.randbytes(RECORD_BYTES // 2).hex().encode()
            yield b'{"pair":"%c","broken":"%b"}' % (b"ABC"[count % 3], text)
        before = due


def watched(worker: Worker) -> list[Held]:
    """What it holds, again and again, for HELD_S and until that grows no more."""
    seen, began = [held_by(worker)], time.monotonic()
    while time.monotonic() - began < HELD_S or seen[-1].memory_mib - seen[-STILL_LOOKS:][0].memory_mib > STILL_MIB:
        assert time.monotonic() - began < CATCHES_UP_S, "it does not stop to read"
        time.sleep(LOOK_S)
        seen.append(held_by(worker))
    return seen


def held_by(worker: Worker) -> Held:
    """What it holds now."""
    memory_mib = psutil.Process(worker.process.pid).memory_info().rss / 2**20
    return Held(memory_mib, worker.metric("mts_unconfirmed_results"), worker.metric("mts_records_total"))
