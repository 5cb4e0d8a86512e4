"""The worker as a process on a real broker: what it sends is what the engine says, once, whatever happens to it."""

import signal
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from mts_stream.agents.checkpoints import Checkpoint
from mts_stream.settings import Settings
from mts_stream.wire import topics
from mts_stream.wire.kafka import send_all
from tests.integration.worker_parts import (
    Expected,
    Feed,
    Sent,
    Worker,
    capture,
    caught_up,
    clean,
    committed,
    feed,
    until,
)


class MakeSettings(Protocol):
    """Settings on the session's broker with clean topics."""

    def __call__(self, partitions: int, checkpoint_interval_s: float = 0.5) -> Settings:
        """For that many partitions."""


@pytest.fixture
def make_settings(kafka: str) -> MakeSettings:
    """Settings on the session's broker with clean topics."""

    def make(partitions: int, checkpoint_interval_s: float = 0.5) -> Settings:
        settings = Settings(
            kafka_bootstrap_servers=kafka,
            partitions=partitions,
            checkpoint_interval_s=checkpoint_interval_s,
            broker_session_timeout_s=6,
        )
        clean(settings)
        return settings

    return make


def test_the_worker_sends_what_the_engine_says(make_settings: MakeSettings, tmp_path: Path) -> None:
    """Results, their order per pair and dead letters are those of the engine; the records add up; SIGTERM ends it
    with code 0 and everything committed, and a restart sends nothing."""
    settings = make_settings(1)
    fed = feed(settings, capture("random-a"))

    with Worker(settings, tmp_path) as worker:
        worker.ready()
        until("all is committed", lambda: caught_up(settings))
        assert worker.metric("mts_records_total") == fed
        assert worker.stop() == 0
    expected, sent = Expected.of(settings), Sent.of(settings)
    assert sent == Sent(expected.results, expected.dead, repeats=0)
    assert len(expected.dead) == 30

    with Worker(settings, tmp_path) as again:
        again.ready()
        assert again.metric("mts_records_total") == 0
        assert again.stop() == 0
    assert Sent.of(settings) == sent


def test_killed_in_mid_stream_it_loses_and_changes_nothing(make_settings: MakeSettings, tmp_path: Path) -> None:
    """kill -9 while records come, twice: the distinct results are those of an undisturbed run, in their order.

    The second and the third run have one name, so the third takes over at once.
    """
    settings = make_settings(2)
    with Feed(settings, capture("random-a"), 0.2) as feeding:
        with Worker(settings, tmp_path) as first:
            until("it works", lambda: first.metric("mts_records_total") > 500)
            assert first.stop(signal.SIGKILL) == -signal.SIGKILL
        with Worker(settings, tmp_path, WORKER_INSTANCE_ID="one") as second:
            until("it works", lambda: second.metric("mts_records_total") > 300)
            second.stop(signal.SIGKILL)
        with Worker(settings, tmp_path, WORKER_INSTANCE_ID="one") as third:
            feeding.finish()
            until("all is committed", lambda: caught_up(settings))
            assert third.stop() == 0

    assert_nothing_lost_or_changed(settings)


def test_partitions_move_between_workers(make_settings: MakeSettings, tmp_path: Path) -> None:
    """One joins; it is frozen until its partitions are the other's, and wakes with old state; then it is killed."""
    settings = make_settings(2)
    with (
        Feed(settings, capture("random-a") + capture("random-b"), 0.3) as feeding,
        Worker(settings, tmp_path) as stays,
        Worker(settings, tmp_path) as comes,
    ):
        until("both work", lambda: min(w.metric("mts_records_total") for w in (stays, comes)) > 100)
        comes.process.send_signal(signal.SIGSTOP)
        until("the other has both", lambda: stays.partitions() == 2)
        comes.process.send_signal(signal.SIGCONT)
        until("it is back", lambda: (stays.partitions(), comes.partitions()) == (1, 1))
        comes.stop(signal.SIGKILL)
        feeding.finish()
        until("all is committed", lambda: caught_up(settings))
        assert stays.stop() == 0

    assert_nothing_lost_or_changed(settings)


def test_nobody_waits_for_a_worker_that_was_killed_or_has_left(make_settings: MakeSettings, tmp_path: Path) -> None:
    """Sessions last longer than this test waits: one that was killed comes back under the name in its directory, and
    one that ends says goodbye."""
    settings = make_settings(2).model_copy(update={"broker_session_timeout_s": 90})
    feed(settings, capture("random-a", 500))
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()

    with Worker(settings, folders[0]) as killed:
        killed.ready().stop(signal.SIGKILL)
    with Worker(settings, folders[0]) as back, Worker(settings, folders[1]) as other:
        until("they share", lambda: (back.partitions(), other.partitions()) == (1, 1))
        assert back.stop() == 0
        until("the other has both", lambda: other.partitions() == 2)
        until("all is committed", lambda: caught_up(settings))
        assert other.stop() == 0

    assert_nothing_lost_or_changed(settings)


def assert_nothing_lost_or_changed(settings: Settings) -> None:
    """The distinct results and dead letters are those of the engine, the results of a pair in their order."""
    expected, sent = Expected.of(settings), Sent.of(settings)
    assert sent.results == expected.results
    assert sent.dead == expected.dead


def test_a_bug_ends_the_worker_and_commits_nothing_beyond_it(make_settings: MakeSettings, tmp_path: Path) -> None:
    """Exit code 1, the error in the log, and the record that met the bug is read again by a repaired worker."""
    settings = make_settings(1, checkpoint_interval_s=0.2)
    feed(settings, capture("random-a", 3500))

    with Worker(settings, tmp_path, "tests.integration.buggy_worker") as buggy:
        assert buggy.process.wait(30) == 1
        assert "ZeroDivisionError" in buggy.text()
    assert committed(settings).get(0, 0) <= 3000
    with Worker(settings, tmp_path) as repaired:
        until("all is committed", lambda: caught_up(settings))
        assert repaired.stop() == 0

    assert Sent.of(settings).results == Expected.of(settings).results


def test_one_broken_record_among_five_hundred_costs_one_dead_letter(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    """In the middle of one batch: all else that is sent is what the engine says without that record."""
    settings = make_settings(1)
    lines = capture("btc", 500)
    feed(settings, [*lines[:250], b'{"v":1,"venue":"binance","ma', *lines[250:]])
    with Worker(settings, tmp_path) as worker:
        until("all is committed", lambda: caught_up(settings))
        assert worker.stop() == 0
    sent = Sent.of(settings)

    clean(settings)
    feed(settings, lines)
    undisturbed = Expected.of(settings)
    assert sent.dead == {(0, 250): "not_an_envelope"} | {
        (p, offset + (offset >= 250)): reason for (p, offset), reason in undisturbed.dead.items()
    }
    assert sent.results == undisturbed.results and sent.results


def test_checkpoints_that_cannot_be_read_are_named_and_ignored(make_settings: MakeSettings, tmp_path: Path) -> None:
    """A broken one and one of an unknown version: counted, in the log, and the pairs are built from the records."""
    settings = make_settings(1)
    feed(settings, capture("random-a", 1000))
    send_all(
        settings,
        [
            (topics.CHANGELOG, b"AAA-USDT", msgspec.msgpack.encode(Checkpoint(99, 7, b""))),
            (topics.CHANGELOG, b"BBB-USDT", b"\x00"),
            (topics.CHANGELOG, b"CCC-USDT", msgspec.msgpack.encode(Checkpoint.of(7, b'{"v":1}'))),
        ],
    )

    with Worker(settings, tmp_path) as worker:
        until("all is committed", lambda: caught_up(settings))
        assert worker.metric("mts_checkpoints_ignored_total") == 3
        assert worker.stop() == 0
        named = [line for line in worker.text().splitlines() if "checkpoint ignored" in line]
    assert [key for key in ("AAA", "BBB", "CCC") if any(key in line for line in named)] == ["AAA", "BBB", "CCC"]

    assert Sent.of(settings).results == Expected.of(settings).results
