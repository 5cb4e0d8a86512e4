"""A rebuild on a real Kafka and a real engine: the rows that the sink had stored, again, or those that were lost."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer

from mts_stream.clickhouse.rebuild import Outcome, rebuild
from mts_stream.clickhouse.runner import migrate
from mts_stream.errors import UsageError
from mts_stream.replay.replaying import replay
from mts_stream.replay.running import FILE_OF
from mts_stream.settings import Settings, load_settings
from mts_stream.sinks.rows import COLUMNS, FEEDS
from mts_stream.wire import topics
from mts_stream.wire.kafka import client_config, group_members, send_all
from tests.cli.running import run
from tests.clickhouse.asking import ask
from tests.integration.sink_parts import SinkProcess, caught_up, clean_settings, distinct, stored, until
from tests.sinks import messages

pytestmark = pytest.mark.slow
ALL = frozenset(COLUMNS)
CAPTURE = Path(__file__).parents[1] / "data" / "conformance" / "btc.jsonl.gz"


@pytest.fixture
def settings(kafka: str, clickhouse: str) -> Settings:
    """Topics with results, some of them twice and one that no table takes, and a migrated database without rows."""
    settings = clean_settings(kafka, clickhouse)
    asyncio.run(migrate(settings))
    everything = messages.everything()
    send_all(settings, [*everything, *everything[:50], (topics.SPREADS, b"BTC-USDT", b"no result")])
    return settings


def rebuilt(
    settings: Settings, *tables: str, from_ms: int | None = None, replayed: Path | None = None
) -> Outcome:  # fmt: skip
    """Rebuild tables, all without any named."""
    names = frozenset(tables) or ALL
    return asyncio.run(rebuild(settings, names, from_ms=from_ms, on_progress=lambda *_: None, replayed=replayed))


def command(settings: Settings, sql: str) -> str:
    """Run a statement on the test's database."""
    return ask(settings.clickhouse_url, sql, settings.clickhouse_database)


def test_every_table_has_its_topic() -> None:
    """What the sink fills can be rebuilt."""
    assert sorted(table for filled in FEEDS.values() for table in filled) == sorted(COLUMNS)


def test_lost_rows_come_back_and_then_nothing_changes(settings: Settings) -> None:
    """An empty store gets every result once; a second rebuild finds each table equal, by rows and checksum."""
    first, second = rebuilt(settings), rebuilt(settings)

    assert stored(settings) == distinct(messages.everything())
    assert (first.refused, first.records) == (1, len(messages.everything()) + 51)
    assert not any(table.equal for table in first.tables)
    assert all(table.equal and table.before.rows == table.read for table in second.tables)
    assert [table.after for table in first.tables] == [table.after for table in second.tables]
    left = "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name LIKE '%rebuild'"
    assert command(settings, left) == "0\n"


def test_what_the_sink_stored_is_what_a_rebuild_makes(settings: Settings, tmp_path: Path) -> None:
    """The same rows to the last digit; while the sink runs a rebuild is refused, for it would lose what comes then."""
    with SinkProcess(settings, tmp_path) as sink:
        until("all is committed", lambda: caught_up(settings))
        with pytest.raises(UsageError, match="the sink runs"):
            rebuilt(settings)
        assert sink.stop()[0] == 0

    assert all(table.equal for table in rebuilt(settings).tables)


def test_a_member_that_comes_meanwhile_keeps_the_old_tables(settings: Settings, monkeypatch: Any) -> None:
    """It is asked for again right before the exchange."""
    answers = iter((0, 1))
    monkeypatch.setattr("mts_stream.clickhouse.rebuild.group_members", lambda *_: next(answers))
    with pytest.raises(UsageError, match="the sink runs"):
        rebuilt(settings)

    assert command(settings, "SELECT count() FROM signals") == "0\n"


def test_rows_that_no_topic_has_any_more_are_carried_over(settings: Settings) -> None:
    """Past the topics' retention the old table is the only place; a row that was damaged is replaced."""
    rebuilt(settings)
    old = "'OLD-USDT', 'a:perp>b:perp', now64(9) - INTERVAL 30 DAY, 7"
    command(settings, f"INSERT INTO spreads_1s (pair, direction, window_start, valid_ms) SELECT {old}")
    command(settings, "ALTER TABLE spreads_1s UPDATE valid_ms = 1 WHERE pair != 'OLD-USDT' SETTINGS mutations_sync = 2")
    before = command(settings, "SELECT stored_at FROM spreads_1s WHERE pair = 'OLD-USDT'")
    (table,) = rebuilt(settings, "spreads_1s").tables

    assert table.after.rows == table.read + 1 == table.before.rows
    assert not table.equal
    assert command(settings, "SELECT valid_ms, stored_at FROM spreads_1s WHERE pair = 'OLD-USDT'") == f"7\t{before}"
    assert command(settings, "SELECT countIf(valid_ms = 1) FROM spreads_1s FINAL") == "0\n"


@pytest.fixture
def replayed(tmp_path: Path) -> Path:
    """The results of the capture whose signals and windows the topics have too."""
    replay([CAPTURE], tmp_path / "replayed", load_settings().economics())
    return tmp_path / "replayed"


def test_what_captures_give_is_what_the_topics_gave(
    settings: Settings, replayed: Path, kafka: str, clickhouse: str
) -> None:
    """Past their retention: the same rows and checksum from the capture of the records that had led to them."""
    (by_topics,) = rebuilt(settings, "spreads_1s").tables
    without_results = clean_settings(kafka, clickhouse)
    asyncio.run(migrate(without_results))
    first, second = (rebuilt(without_results, "spreads_1s", replayed=replayed) for _ in range(2))

    assert first.records == 0 and first.replayed == first.tables[0].read == by_topics.read
    assert first.tables[0].after == by_topics.after
    assert second.tables[0].equal


def test_what_a_topic_has_stays_over_a_capture(settings: Settings, replayed: Path) -> None:
    """It is what was sent, with the clock of that time; a capture gives no more than what no topic has."""
    another = messages.windows()[0] | {"valid_ms": 1}
    send_all(settings, [messages.sent(topics.SPREADS, another)])
    rebuilt(settings, replayed=replayed)

    assert command(settings, "SELECT countIf(valid_ms = 1) FROM spreads_1s FINAL") == "1\n"
    results = [(topic, b"", line) for topic, name in FILE_OF.items() for line in (replayed / name).open("rb")]
    assert stored(settings) == distinct([*messages.everything(), *results])
    sent_ns = {message["id"]: message["emitted_ns"] for message in messages.arbitrage()}
    kept = command(settings, "SELECT id, toUnixTimestamp64Nano(emitted_time) FROM signals FINAL FORMAT TSV")
    assert sent_ns.items() <= {key: int(ns) for key, ns in (line.split("\t") for line in kept.splitlines())}.items()


def test_from_a_time_on_only_later_records_are_read(settings: Settings) -> None:
    """A time after the last record reads none, and ends at once; the rows stay."""
    before = rebuilt(settings)
    after = rebuilt(settings, from_ms=4_000_000_000_000)

    assert after.records == 0
    assert [table.after for table in after.tables] == [table.after for table in before.tables]


def test_the_command_shows_rows_and_checksums(settings: Settings) -> None:
    """The same twice; a table that does not exist, or a date that is none, is wrong usage."""
    where = {
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers, "CLICKHOUSE_URL": settings.clickhouse_url,
        "CLICKHOUSE_DATABASE": settings.clickhouse_database, "PARTITIONS": "4",
    }  # fmt: skip
    first = json.loads(run("rebuild", "--table", "signals", "--table", "funding_rates", "--json", **where).stdout)
    second = run("rebuild", "--table", "signals", **where)

    assert list(first["tables"]) == ["signals", "funding_rates"]
    checksum = first["tables"]["signals"]["checksum_after"]
    assert second.returncode == 0 and second.stdout.count(checksum) == 2 and " equal\n" in second.stdout
    third = json.loads(run("rebuild", CAPTURE, "--table", "spreads_1s", "--json", **where).stdout)
    assert third["replayed"] == len(messages.windows()) == third["tables"]["spreads_1s"]["rows_after"]
    assert run("rebuild", "nowhere.jsonl", **where).returncode == 2
    assert run("rebuild", "--table", "nothing", **where).returncode == 2
    assert run("rebuild", "--from", "yesterday", **where).returncode == 2


def test_a_group_knows_its_members(settings: Settings) -> None:
    """Nobody before, one while a consumer is in it."""
    assert group_members(settings, topics.SINK_GROUP) == 0
    consumer = Consumer(client_config(settings, **{"group.id": topics.SINK_GROUP}))
    consumer.subscribe([topics.SPREADS])

    def joined() -> bool:
        consumer.poll(0.1)
        return bool(consumer.assignment())

    until("it has joined", joined)
    members = group_members(settings, topics.SINK_GROUP)
    consumer.close()
    assert members == 1
