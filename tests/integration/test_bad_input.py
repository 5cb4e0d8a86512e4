"""The worker as a process on a real broker, with a checkpoint or a kernel that is of no use to it."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from mts_stream.domain.engine import CLOCK_KEY, PartitionEngine
from mts_stream.errors import BadRecordError
from mts_stream.settings import Settings
from mts_stream.wire import topics
from mts_stream.wire.codec import decode_record, encode_message, topic_of
from mts_stream.wire.kafka import client_config, send_all
from tests.integration.worker_parts import (
    Expected,
    Results,
    Sent,
    Worker,
    bare,
    capture,
    caught_up,
    clean,
    feed,
    read,
    until,
)

LOST = "AAA-USDT"


@pytest.fixture
def settings(kafka: str) -> Settings:
    """One partition on clean topics."""
    settings = Settings(
        kafka_bootstrap_servers=kafka, partitions=1, checkpoint_interval_s=0.5, broker_session_timeout_s=6
    )
    clean(settings)
    return settings


def test_a_pair_whose_checkpoint_breaks_is_rebuilt_from_the_log(settings: Settings, tmp_path: Path) -> None:
    """What the log repeats within a minute is all of this one: nothing of the pair is lost, and the others go on."""
    lines = capture("random-a")
    feed(settings, lines[: len(lines) // 2])
    with Worker(settings, tmp_path) as first:
        until("all is committed", lambda: caught_up(settings))
        assert first.stop() == 0
    send_all(settings, [(topics.CHANGELOG, LOST.encode(), b"\x00")])
    feed(settings, lines[len(lines) // 2 :])

    with Worker(settings, tmp_path) as second:
        until("all is committed", lambda: caught_up(settings))
        assert second.metric("mts_checkpoints_ignored_total") == 1
        assert second.stop() == 0
        assert "rebuilt from the log" in second.text()

    assert Sent.of(settings).results == Expected.of(settings).results


@pytest.mark.long
def test_a_pair_of_which_the_log_has_no_more_begins_anew(settings: Settings, tmp_path: Path) -> None:
    """Its older checkpoints, which are good, lack what was committed since: it has to wait for its next listing."""
    lines = capture("random-a")
    half = feed(settings, lines[: len(lines) // 2])
    with Worker(settings, tmp_path) as first:
        until("all is committed", lambda: caught_up(settings))
        assert first.stop() == 0
    kept = [record.value for record in read(settings, topics.RAW)]
    delete_before(settings, topics.RAW, half)
    send_all(settings, [(topics.CHANGELOG, LOST.encode(), b"\x00")])
    feed(settings, lines[len(lines) // 2 :])

    with Worker(settings, tmp_path) as second:
        until("all is committed", lambda: caught_up(settings))
        assert second.stop() == 0

    values = kept + [record.value for record in read(settings, topics.RAW)]
    assert Sent.of(settings).results == without_the_state_of(LOST, settings, values, half)


def delete_before(settings: Settings, topic: str, offset: int) -> None:
    """As the retention of a topic does."""
    admin = AdminClient(client_config(settings))
    (deleted,) = admin.delete_records([TopicPartition(topic, 0, offset)]).values()
    deleted.result(10)


def without_the_state_of(lost: str, settings: Settings, log: list[bytes | None], half: int) -> Results:
    """What an engine says to the first half of the log, and to the rest one that has all its pairs but one."""
    values, said = iter(log), dict[tuple[str, str], dict[str, None]]()
    engine, successor = PartitionEngine(settings.economics()), PartitionEngine(settings.economics())
    take(engine, 0, islice(values, half), said)
    for key in (CLOCK_KEY, *engine.pairs):
        if key != lost:
            successor.restore(key, engine.snapshot(key))
    take(successor, half, values, said)
    return {key: list(results) for key, results in said.items()}


def take(
    engine: PartitionEngine, begin: int, values: Iterable[bytes | None], said: dict[tuple[str, str], dict[str, None]]
) -> None:
    """Let an engine handle records from an offset on; what it says is noted once, in its order."""
    for offset, value in enumerate(values, start=begin):
        try:
            handled = engine.on_event(decode_record(value), offset)
        except BadRecordError:
            continue
        for message in handled.messages:
            said.setdefault((topic_of(message), message.pair), {})[bare(encode_message(message))] = None


def test_a_kernel_that_does_not_load_costs_one_warning(settings: Settings, tmp_path: Path) -> None:
    """The worker runs in Python then, with the same results."""
    feed(settings, capture("random-a", 1000))
    with Worker(settings, tmp_path, "tests.integration.unbuilt_worker") as worker:
        until("all is committed", lambda: caught_up(settings))
        assert worker.stop() == 0

    assert worker.text().count("no compiled kernel") == 1
    sent = Sent.of(settings).results
    assert sent == Expected.of(settings).results and sent
