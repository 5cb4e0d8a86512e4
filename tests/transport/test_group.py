"""The transport in a group on a real broker: agents that are slow, go back, are joined, killed, frozen and go on."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from mts_stream.settings import Settings
from mts_stream.wire.kafka import client_config, committed_offsets, producer_config
from mts_stream.worker_options import FETCHES_QUEUED_MAX
from tests.integration.worker_parts import free_port, until

PARTITIONS = 2
RECORDS = 4000  # of each partition, in batches of at most 100
Note = dict[str, Any]


@dataclass
class Stand:
    """A topic with records, the processes that read it, and what they noted."""

    settings: Settings
    directory: Path
    topic: str = field(default_factory=lambda: f"group-{uuid4().hex[:8]}")
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        admin = AdminClient(client_config(self.settings))
        admin.create_topics([NewTopic(self.topic, PARTITIONS, 1)])[self.topic].result(20)
        producer = Producer(producer_config(self.settings))
        for number in range(RECORDS):
            for partition in range(PARTITIONS):
                producer.produce(self.topic, b"%d" % number * 20, partition=partition)
        assert producer.flush(30) == 0

    @property
    def hold(self) -> Path:
        """While this file stands, agents wait in the middle of a batch."""
        return self.directory / "hold"

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        """One more reader."""
        port = str(free_port())
        variables = {
            "KAFKA_BOOTSTRAP_SERVERS": self.settings.kafka_bootstrap_servers, "TOPIC": self.topic, "WEB_PORT": port,
            "NOTES": str(self.directory / "notes"), "HOLD": str(self.hold),
        }  # fmt: skip
        command = [Path(sys.executable).with_name("faust"), "-A", "tests.transport.noting_app", "worker", "-l", "info"]
        with (self.directory / f"{port}.log").open("wb") as log:
            process = subprocess.Popen(command, env=os.environ | variables | environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def notes(self, what: str, process: subprocess.Popen[bytes] | None = None) -> list[Note]:
        """What was noted so far, by all or by one."""
        path = self.directory / "notes"
        lines = path.read_text().splitlines() if path.exists() else []
        notes = [json.loads(line) for line in lines]
        return [n for n in notes if n["what"] == what and (process is None or n["pid"] == process.pid)]

    def has(self, process: subprocess.Popen[bytes]) -> set[int]:
        """The partitions of which a process got batches in the newest generation of all."""
        newest = max((n["generation"] for n in self.notes("batch")), default=0)
        return {n["partition"] for n in self.notes("batch", process) if n["generation"] == newest}

    def finish(self) -> None:
        """Return when all is committed and every process has ended as it should."""
        all_of_it = dict.fromkeys(range(PARTITIONS), RECORDS)
        until("all is committed", lambda: committed_offsets(self.settings, self.topic, self.topic) == all_of_it)
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0, self.logs()

    def check(self) -> None:
        """Batches follow each other in a generation, begin where was committed, and hold every record."""
        commits = [n for n in self.notes("commit") if n["took"]]
        for partition in range(PARTITIONS):
            ends = [n["end"] for n in commits if n["partition"] == partition]
            batches = [n for n in self.notes("batch") if n["partition"] == partition]
            assert ends == sorted(ends), "nobody commits what is behind"
            assert {n["begin"] for n in batches} <= {0, *ends}
            assert all(n["records"] == n["end"] - n["first"] for n in batches)
            assert {o for n in batches for o in range(n["first"], n["end"])} == set(range(RECORDS))
            for generation in {(n["pid"], n["generation"]) for n in batches}:
                own = [n for n in batches if (n["pid"], n["generation"]) == generation]
                assert own[0]["first"] == own[0]["begin"]
                assert all(before["end"] == after["first"] for before, after in pairwise(own)), own

    def logs(self) -> str:
        """The ends of the logs."""
        return "\n\n".join(path.read_text()[-3000:] for path in self.directory.glob("*.log"))

    def close(self) -> None:
        """End whatever is left."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait(10)


@pytest.fixture
def stand(kafka: str, tmp_path: Path) -> Iterator[Stand]:
    """A topic of its own for each test."""
    stand = Stand(Settings(kafka_bootstrap_servers=kafka), tmp_path)
    yield stand
    stand.close()


def shared(stand: Stand, **environment: str) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
    """Two readers that have a partition each and far to go; the second with more in its environment."""
    stand.hold.touch()
    first = stand.start(PAUSE_S="0.05")
    until("one is in a batch", lambda: stand.notes("batch", first))
    second = stand.start(PAUSE_S="0.05", **environment)
    until("the other has one too", lambda: stand.notes("batch", second))
    stand.hold.unlink()
    until("they share", lambda: len(stand.has(first)) == len(stand.has(second)) == 1)
    return first, second


def test_a_slow_agent_has_a_bounded_queue_and_gets_everything(stand: Stand) -> None:
    """Its queue fills, no further than its bound; what does not fit waits at the broker, in order."""
    stand.start(PAUSE_S="0.05")
    stand.finish()

    stand.check()
    waiting = [n["waiting"] for n in stand.notes("batch")]
    assert FETCHES_QUEUED_MAX // 2 <= max(waiting) <= FETCHES_QUEUED_MAX


def test_an_agent_that_goes_back_gets_the_same_records_again(stand: Stand) -> None:
    """From the offset that it asks for, once, then on to the end without a hole; no commit is lowered."""
    stand.start(GO_BACK="1500")
    stand.finish()

    (went,) = stand.notes("went back")
    batches = [n for n in stand.notes("batch") if n["partition"] == 0]
    (jump,) = (i for i, (a, b) in enumerate(pairwise(batches)) if a["end"] != b["first"])
    assert went["partition"] == 0 and batches[jump]["end"] > 1500
    assert batches[jump + 1]["first"] == 0 and batches[-1]["end"] == RECORDS
    ends = [n["end"] for n in stand.notes("commit") if n["partition"] == 0]
    assert ends[-1] == RECORDS


def test_a_rebalance_in_the_middle_of_a_batch_gives_it_to_the_next_owner(stand: Stand) -> None:
    """The one that has it commits nothing of it any more, and both read on from what was committed."""
    stand.hold.touch()
    first = stand.start()
    until("it is in a batch", lambda: stand.notes("batch", first))
    second = stand.start()
    until("the other has one too", lambda: stand.notes("batch", second))
    stand.hold.unlink()
    stand.finish()

    stand.check()
    (begun, *_) = stand.notes("batch", first)
    (ended, *_) = stand.notes("commit", first)
    assert (ended["generation"], ended["is_current"]) == (begun["generation"], False)
    assert stand.notes("batch", second)[0]["begin"] == 0, "nothing of it was committed"


def test_one_that_is_killed_is_followed_from_what_it_committed(stand: Stand) -> None:
    """kill -9 of one of two, in whatever it does; the other one reads the rest of both."""
    killed, other = shared(stand)
    killed.kill()
    killed.wait(10)
    stand.finish()

    stand.check()
    assert {n["partition"] for n in stand.notes("batch", other)} == set(range(PARTITIONS))


def test_one_that_was_frozen_commits_nothing_of_its_old_generation(stand: Stand) -> None:
    """It wakes in the middle of a batch when its partition is another's, and then takes part again."""
    hold = stand.directory / "hold-one"
    other, frozen = shared(stand, HOLD=str(hold))
    hold.touch()
    until("it waits in a batch", lambda: stand.notes("held", frozen))
    old = stand.notes("held", frozen)[-1]
    frozen.send_signal(signal.SIGSTOP)
    until("the other has its partition", lambda: old["partition"] in stand.has(other))
    hold.unlink()
    frozen.send_signal(signal.SIGCONT)
    stand.finish()

    stand.check()
    late = [n for n in stand.notes("commit", frozen) if n["generation"] == old["generation"] and n["end"] == old["end"]]
    assert [n["took"] for n in late] == [False]
