"""The sink between a real Kafka and a real ClickHouse engine: each result stored once, whatever happens."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mts_stream.local.clickhouse import ClickHouseGateway
from mts_stream.settings import Settings
from mts_stream.wire import topics
from mts_stream.wire.kafka import send_all
from tests.integration.sink_parts import (
    STOP_S,
    SinkProcess,
    caught_up,
    clean_settings,
    dead_letters,
    distinct,
    rows,
    stored,
    until,
)
from tests.sinks import messages

LATENCY_MAX_S = 2.0


@pytest.fixture
def settings(kafka: str, clickhouse: str) -> Settings:
    """Empty topics and a database of the test's own."""
    return clean_settings(kafka, clickhouse)


@pytest.fixture
def sink(settings: Settings, tmp_path: Path) -> Iterator[SinkProcess]:
    """A sink that is ready."""
    with SinkProcess(settings, tmp_path) as process:
        until("the sink is healthy", lambda: process.health()[0] == 200)
        yield process


def test_every_result_becomes_a_row_once_and_soon(settings: Settings, sink: SinkProcess) -> None:
    """Results on topics equal rows stored; a repeated message adds none; a new one can be queried in two seconds."""
    everything = messages.everything()
    send_all(settings, everything)
    send_all(settings, everything[:200])

    until("all is committed", lambda: caught_up(settings))
    assert stored(settings) == distinct(everything)
    assert dead_letters(settings) == []

    waits = []
    for number in range(5):
        change = messages.funding_change(1000 + number)
        send_all(settings, [messages.sent(topics.FUNDING, change)])
        sent_at = time.monotonic()
        query = f"SELECT 1 FROM funding_rates WHERE message_id = '{change['message_id']}'"
        until("the change can be queried", lambda q=query: rows(settings, q))
        waits.append(time.monotonic() - sent_at)
    assert sorted(waits)[2] <= LATENCY_MAX_S, waits

    status, metrics = sink.get("/metrics")
    assert status == 200
    assert 'mts_rows_stored_total{table="signals"}' in metrics
    assert "mts_store_up 1.0" in metrics
    assert 'mts_sink_lag_records{topic="mts.signals"} 0.0' in metrics
    code, took_s = sink.stop()
    assert (code, took_s < STOP_S) == (0, True), sink.log()[-3000:]
    assert caught_up(settings)


@pytest.mark.long
def test_a_killed_sink_loses_and_doubles_nothing(settings: Settings, tmp_path: Path) -> None:
    """kill -9 twice in mid-stream: in the end every distinct message is one row under FINAL."""
    everything = messages.everything("random-a")
    size = len(everything) // 3 + 1
    for number in range(3):
        part = everything[number * size : (number + 1) * size]
        with SinkProcess(settings, tmp_path, SINK_BATCH_ROWS="300", SINK_BATCH_AGE_MS="50") as process:
            before = sum(stored(settings).values())
            send_all(settings, part)
            if number < 2:
                until("some of it is stored", lambda b=before: sum(stored(settings).values()) > b + 100)
                process.kill()
                continue
            until("all is committed", lambda: caught_up(settings))
    assert stored(settings) == distinct(everything)
    assert rows(settings, "SELECT count() FROM opportunity_events FINAL") == [[stored(settings)[topics.SIGNALS]]]


def test_sigterm_stores_what_is_held(settings: Settings, tmp_path: Path) -> None:
    """Whatever the age allows: the lag shows what waits, and at the end it is stored and committed."""
    windows = [messages.sent(topics.SPREADS, row) for row in messages.windows()[:50]]
    lag = f'mts_sink_lag_records{{topic="{topics.SPREADS}"}} {len(windows)}.0'
    with SinkProcess(settings, tmp_path, SINK_BATCH_AGE_MS="60000") as sink:
        until("the sink is healthy", lambda: sink.health()[0] == 200)
        send_all(settings, windows)
        held = f'mts_rows_held{{topic="{topics.SPREADS}"}} {len(windows)}.0'
        until("everything is held", lambda: {held, lag} <= set(sink.get("/metrics")[1].splitlines()))
        assert stored(settings)[topics.SPREADS] == 0
        assert sink.stop()[0] == 0

    assert stored(settings) == distinct(windows)
    assert caught_up(settings)


def test_clickhouse_may_be_down_at_the_start_and_later(settings: Settings, tmp_path: Path) -> None:
    """The sink says once why it waits; SIGTERM ends it all the same; when ClickHouse comes, everything is stored."""
    gateway = ClickHouseGateway(tmp_path / "tables", log_path=tmp_path / "clickhouse.log", memory_bytes=600_000_000)
    settings = settings.model_copy(update={"clickhouse_url": gateway.url})
    everything = messages.everything()
    half = len(everything) // 2
    send_all(settings, everything[:half])

    with SinkProcess(settings, tmp_path) as waiting:
        until("health says why", lambda: "waiting for ClickHouse" in waiting.health()[1])
        assert waiting.health()[0] == 503
        code, took_s = waiting.stop()
        assert (code, took_s < STOP_S) == (0, True), waiting.log()[-3000:]
    with SinkProcess(settings, tmp_path) as sink, asyncio.Runner() as runner:
        until("it waits", lambda: "store_unavailable" in sink.log())
        runner.run(gateway.start())
        until("the first half is stored", lambda: stored(settings) == distinct(everything[:half]))

        runner.run(gateway.stop())
        send_all(settings, everything[half:])
        until("it waits again", lambda: sink.health()[0] == 503)
        runner.run(gateway.start())
        until("all is committed", lambda: caught_up(settings))
        assert stored(settings) == distinct(everything)
        until("it is healthy again", lambda: sink.health()[0] == 200)
        assert sink.log().count("store_unavailable") <= 3
        runner.run(gateway.stop())


def test_poison_goes_to_the_dead_letters_and_the_rest_is_stored(settings: Settings, sink: SinkProcess) -> None:
    """With topic, partition, offset, reason and bytes."""
    good = [messages.sent(topics.SPREADS, row) for row in messages.windows()[:50]]
    too_large = messages.windows()[60] | {"valid_ms": 2**40}
    poison = [(topics.SPREADS, b"BTC-USDT", b"{no json"), messages.sent(topics.SPREADS, too_large)]
    send_all(settings, [*good[:20], poison[0], *good[20:40], poison[1], *good[40:]])
    send_all(settings, [(topics.SIGNALS, b"BTC-USDT", json.dumps({"type": "arbitrage.exploded"}).encode())])

    until("all is committed", lambda: caught_up(settings))
    assert stored(settings)[topics.SPREADS] == 50
    letters = {letter["reason"]: letter for letter in dead_letters(settings)}
    assert set(letters) == {"not_json", "store_refused", "unknown_type"}
    assert (letters["not_json"]["topic"], letters["not_json"]["offset"]) == (topics.SPREADS, 20)
    assert letters["unknown_type"]["origin"] == "sink"
    assert 'mts_rows_refused_total{table="spreads_1s"} 2.0' in sink.get("/metrics")[1]


def test_a_dropped_table_ends_the_sink_loudly(settings: Settings, sink: SinkProcess) -> None:
    """No waiting brings it back, so the sink exits with 1 and a line that names it; nothing of it is committed."""
    rows(settings, "SELECT 1")
    until("the tables stand", lambda: stored(settings))
    rows(settings, "DROP TABLE funding_rates SYNC")
    send_all(settings, [messages.sent(topics.FUNDING, messages.funding_change())])

    assert sink.process.wait(60) == 1
    last = sink.log().splitlines()[-1]
    assert last.startswith("error: ClickHouse at ")
    assert "funding_rates" in last
    assert f"database {settings.clickhouse_database} (CLICKHOUSE_DATABASE)" in last
    assert "mts-stream migrate" in last
    assert "Traceback" not in sink.log()
    assert not caught_up(settings)


def test_without_kafka_it_waits_and_ends_when_told(settings: Settings, tmp_path: Path) -> None:
    """It says what it waits for; SIGTERM ends it at once with 0."""
    nowhere = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    with SinkProcess(nowhere, tmp_path) as sink:
        until("it says so", lambda: "waiting for Kafka" in sink.log())
        code, took_s = sink.stop()
        assert (code, took_s < STOP_S) == (0, True), sink.log()[-2000:]
