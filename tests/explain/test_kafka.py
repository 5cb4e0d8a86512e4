"""Explain, out of a real broker: the signal found on its topic, the raw log read from before it."""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mts_stream.settings import Settings, load_settings
from mts_stream.wire.codec import encode_message
from mts_stream.wire.kafka import create_topics, send_all
from mts_stream.wire.topics import INSTRUMENTS, RAW, SIGNALS
from tests.cli.running import run
from tests.explain.capture import Sent, first, lines, signals

RECORDS = 2500
OLD = "00000000-0000-5000-8000-000000000000"


def now_shifted() -> list[bytes]:
    """The capture's first records as if they came now."""
    records = lines(RECORDS)
    first_ns = min(int(ns) for line in records[3:] for ns in re.findall(rb'"received_ns":(\d+)', line))
    delta = time.time_ns() - first_ns
    return [
        re.sub(rb'"received_ns":(\d+)', lambda found: b'"received_ns":%d' % (int(found[1]) + delta), line)
        for line in records
    ]


def key(value: bytes) -> bytes:
    """The pair."""
    found = re.search(rb'"pair":"([^"]*)"', value)
    return found[1] if found else b""


@pytest.fixture(scope="module")
def log() -> list[bytes]:
    """What stands in the raw log."""
    return now_shifted()


@pytest.fixture(scope="module")
def sent(log: list[bytes]) -> list[Sent]:
    """What a worker made of it."""
    return signals(log, load_settings().economics())


@pytest.fixture(scope="module")
def cluster(
    make_broker: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory, log: list[bytes], sent: list[Sent]
) -> Iterator[Settings]:
    """A broker of this file's own with the raw log, its signals, and one whose messages are gone."""
    loop = asyncio.new_event_loop()
    broker = make_broker(tmp_path_factory.mktemp("kafka"))
    loop.run_until_complete(broker.start())
    settings = load_settings(kafka_bootstrap_servers=broker.address, partitions=1)
    create_topics(settings)
    gone = {"id": f"{OLD}-0", "event_time_ns": time.time_ns() - 7200 * 10**9}
    send_all(
        settings,
        [
            *((RAW, key(value), value) for value in log),
            *((INSTRUMENTS, key(value), value) for value in log if b'"registry"' in value),
            *((SIGNALS, m.pair.encode(), encode_message(m, time.time_ns())) for _, m in sent),
            (SIGNALS, b"BTC-USDT", json.dumps(gone).encode()),
        ],
    )
    yield settings
    loop.run_until_complete(broker.stop())
    loop.close()


def ask(cluster: Settings, *arguments: object, **environment: str) -> tuple[int, str, str]:
    """The command as a process of its own: code, output, errors."""
    answered = run(
        "explain", *arguments, KAFKA_BOOTSTRAP_SERVERS=cluster.kafka_bootstrap_servers, PARTITIONS="1", **environment
    )
    return answered.returncode, answered.stdout, answered.stderr


@pytest.mark.parametrize("kind", ["arbitrage.opened", "arbitrage.closed"])
def test_a_signal_is_recomputed_from_the_raw_log(kind: str, cluster: Settings, sent: list[Sent]) -> None:
    """Byte for byte what was sent, but for the time of sending, from the very offsets that it rests on."""
    offset, message = first(sent, lambda m: m.type == kind)
    code, told, errors = ask(cluster, message.id, "--kafka", "--json")
    answer = json.loads(told)

    assert (code, errors) == (0, "")
    assert answer["message"]["equal"] is True
    assert answer["message"]["recomputed"] != answer["message"]["sent"]
    look = answer["ending"] or answer["look"]
    assert look["record"]["place"] == f"mts.raw-0 offset {offset}"


def test_a_moment_is_explained_from_the_raw_log(cluster: Settings, sent: list[Sent]) -> None:
    """The pair's partition is found by the registry."""
    _, message = first(sent, lambda m: m.type == "arbitrage.opened")
    where = ("--pair", message.pair, "--direction", message.direction, "--at", message.event_time_ns - 1)
    code, told, errors = ask(cluster, *where)

    assert (code, errors) == (0, "")
    assert "no signal" in told and "refused, " in told and "mts.raw-0 offset" in told


def test_other_settings_are_told(cluster: Settings, sent: list[Sent]) -> None:
    """Who asks under other settings than the worker's gets another message, and is told why."""
    _, message = first(sent, lambda m: m.type == "arbitrage.opened")
    code, told, _ = ask(cluster, message.id, "--json", SLIPPAGE_BPS="0.9")

    assert code == 0 and json.loads(told)["message"]["equal"] is False
    assert "other settings" in " ".join(json.loads(told)["notes"])


def test_what_cannot_be_recomputed_says_why(cluster: Settings, sent: list[Sent]) -> None:
    """Unknown, no such event, no such pair, or a raw log that no longer reaches back: one line, exit 1."""
    opportunity = first(sent, lambda m: m.type == "arbitrage.opened").message.opportunity_id
    pair = ("--pair", "NO-USDT", "--direction", "binance:perp>bybit:perp", "--at", "1")
    for arguments, said in (
        (("11111111-1111-1111-1111-111111111111-3",), "no signal of this id is among the "),
        ((f"{opportunity}-99",), f"has of this opportunity the events {opportunity}-0"),
        ((f"{OLD}-0",), "which still holds records from "),
        (pair, "mts.instruments does not list it"),
    ):
        code, told, errors = ask(cluster, *arguments)

        assert (code, told) == (1, "") and said in errors, errors
