"""The small commands on a real broker and a real ClickHouse."""

import json
import secrets
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mts_stream.commands.checks import CHECKS
from mts_stream.commands.pairs import last_listings
from mts_stream.commands.root import root
from mts_stream.commands.signals import signal_line
from mts_stream.exchanges.registry import decode_listing, encode_listing
from mts_stream.local.ports import free_ports
from mts_stream.settings import load_settings
from mts_stream.wire.envelope import encode_envelope
from mts_stream.wire.kafka import Record, send_all
from mts_stream.wire.schema_export import generate
from mts_stream.wire.topics import INSTRUMENTS, SIGNALS, TOPICS
from tests.integration.worker_parts import clean
from tests.sinks import messages

LEG = {
    "venue": "bybit", "market": "perp", "symbol": "SHIB1000USDT", "multiplier": "1000", "tick_size": "0.000001",
    "lot_size": "10", "min_notional": "5", "funding_interval_hours": 8, "fee_group": "default", "status": "trading",
    "reference_price": "0.0283",
}  # fmt: skip
PAIR = {"pair": "SHIB-USDT", "quarantined": None, "legs": [LEG]}
SIGNAL = {
    "type": "arbitrage.closed", "pair": "BTC-USDT", "event_time_ns": 3_723_004_000_000, "direction": "a:perp>b:perp",
    "net_usd": "12.5", "net_bps": "7", "buy_notional": "1000", "reason": "no_edge", "duration_ns": 250_000_000,
}  # fmt: skip


def invoke(*arguments: object) -> Result:
    """Run a command in this process; an unexpected exception is raised."""
    return CliRunner().invoke(root, [str(argument) for argument in arguments])


@pytest.fixture
def cluster(kafka: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The environment names the real broker, and its topics stand, empty, whoever used it before."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    clean(load_settings())
    return kafka


@pytest.fixture
def own_broker(make_broker: Callable[[Path], object], tmp_path: Path) -> Iterator[str]:
    """A broker that no other test has made topics on."""
    import asyncio

    loop = asyncio.new_event_loop()
    broker = make_broker(tmp_path)
    loop.run_until_complete(broker.start())  # type: ignore[attr-defined]
    yield broker.address  # type: ignore[attr-defined]
    loop.run_until_complete(broker.stop())  # type: ignore[attr-defined]
    loop.close()


def test_the_settings_are_shown_without_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mask says that a secret is set; it is a comment for a shell."""
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "hush")
    monkeypatch.setenv("MIN_NOTIONAL", "250")
    shown, as_json = invoke("show-config"), json.loads(invoke("show-config", "--json").stdout)

    assert "hush" not in shown.output + json.dumps(as_json)
    assert (as_json["CLICKHOUSE_PASSWORD"], as_json["KAFKA_SASL_PASSWORD"]) == ("********", "")
    assert "\nMIN_NOTIONAL=250\n" in shown.output
    assert "\n# CLICKHOUSE_PASSWORD=********\n" in shown.output


def test_the_settings_can_be_sourced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A shell reads every value as it is in force, and whole numbers are written as in the README."""
    monkeypatch.setenv("WORKER_DATA_DIR", str(tmp_path / "it's a > place"))
    text, values = invoke("show-config").stdout, json.loads(invoke("show-config", "--json").stdout)
    command = f"{text}\nfor name in {' '.join(values)}; do printf '%s\\0' \"${{!name}}\"; done"
    read = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout.split("\0")

    assert dict(zip(values, read, strict=False)) == values
    assert (values["CHECKPOINT_INTERVAL_S"], values["REST_WEIGHT_SHARE"]) == ("10", "0.5")


def test_the_schemas_are_written(tmp_path: Path) -> None:
    """One file for each message, and the AsyncAPI document."""
    result = json.loads(invoke("schema", "export", "--out", tmp_path / "new", "--json").stdout)

    assert {Path(path).name for path in result["written"]} == set(generate())
    assert f"wrote {len(generate())} files" in invoke("schema", "export", "--out", tmp_path).output


def test_schemas_cannot_be_written_into_a_file(tmp_path: Path) -> None:
    """One line, and exit 2."""
    (tmp_path / "file").touch()

    assert invoke("schema", "export", "--out", tmp_path / "file" / "below").exception.exit_code == 2  # type: ignore[union-attr]


def test_topics_are_created_once_and_listed(own_broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second time there is nothing to do; a wrong number of partitions is shown."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", own_broker)
    monkeypatch.setenv("PARTITIONS", "2")
    assert "missing" in invoke("topics", "list").output
    assert "missing: mts.raw" in invoke("doctor").output

    created = json.loads(invoke("topics", "create", "--json").stdout)["created"]
    assert created == sorted(topic.name for topic in TOPICS)
    assert f"all {len(TOPICS)} topics stand" in invoke("topics", "create").output
    rows = [json.loads(line) for line in invoke("topics", "list", "--json").stdout.splitlines()]
    assert {(row["partitions"], row["wanted"]) for row in rows} == {(2, 2)}

    monkeypatch.setenv("PARTITIONS", "3")
    assert "2 partitions, not 3" in invoke("topics", "list").output
    assert "mts.raw has 2 partitions and should have 3" in invoke("doctor").output


def test_pairs_shows_the_last_listing_of_each(cluster: str) -> None:
    """What stands compacted in the registry topic, with symbols and their units."""
    frame = json.dumps(PAIR).encode()
    value = encode_envelope(
        venue="mts", market="all", channel="instruments", kind="registry", symbol="", pair="SHIB-USDT",
        received_ns=1, conn="registry", gen=1, seq=1, frame=frame,
    )  # fmt: skip
    send_all(load_settings(), [(INSTRUMENTS, b"SHIB-USDT", value)])

    assert "SHIB-USDT        bybit:perp SHIB1000USDT x1000" in invoke("pairs").output
    lines = [json.loads(line) for line in invoke("pairs", "--json").stdout.splitlines()]
    assert PAIR in lines


def test_a_pair_that_was_taken_back_is_not_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """A tombstone removes it; what cannot be read is said and passed over."""
    listing = encode_listing(decode_listing(json.dumps(PAIR).encode()))  # type: ignore[arg-type]
    value = encode_envelope(
        venue="mts", market="all", channel="instruments", kind="registry", symbol="", pair="SHIB-USDT",
        received_ns=1, conn="registry", gen=1, seq=1, frame=listing,
    )  # fmt: skip
    kept = Record(INSTRUMENTS, 0, 0, b"SHIB-USDT", value, 0)

    assert list(last_listings([kept, kept._replace(value=b"{")])) == ["SHIB-USDT"]
    assert last_listings([kept, kept._replace(value=None)]) == {}
    assert "mts.instruments 0@0" in capsys.readouterr().err


def test_signals_tail_shows_what_comes(cluster: str) -> None:
    """From some seconds back, for people or as it stands on the topic."""
    marker = secrets.token_hex(8)
    value = json.dumps(SIGNAL | {"id": marker}).encode()
    send_all(load_settings(), [(SIGNALS, b"BTC-USDT", value)])
    lines = invoke("signals", "tail", "--since", 30, "--count", 1, "--json").stdout.splitlines()

    assert len(lines) == 1
    assert "arbitrage.closed" in invoke("signals", "tail", "--since", 30, "--count", 1).output


def test_a_signal_in_one_line() -> None:
    """Time of day, what happened, where, how much, and why it ended."""
    assert signal_line(json.dumps(SIGNAL).encode()) == (
        "01:02:03.004 arbitrage.closed   BTC-USDT       a:perp>b:perp  net 12.5 USD, 7 bps of 1000 USD  "
        "no_edge after 250 ms"
    )
    assert signal_line(b"[]").startswith("not a signal")
    funding = {"type": "funding.opened", "pair": "BTC-USDT", "event_time_ns": 0, "direction": "x", "net_bps": "6"}
    assert signal_line(json.dumps(funding).encode()).endswith("x  net 6 bps")


def test_every_type_of_signal_has_its_line() -> None:
    """Anomalies say what is usual or was before; no type is taken for something else."""
    lines = {message["type"]: signal_line(json.dumps(message).encode()) for message in messages.signals()}

    assert not [line for line in lines.values() if line.startswith("not a signal")]
    assert lines["spread.anomaly"].endswith("started: edge 40 bps, usually 2.5")
    assert lines["funding.anomaly"].endswith("bybit:perp  rate: rate 0.0021 every 8 h  before 0.0001 every 8 h")


def test_migrations_are_applied_once(clickhouse: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor says what to do before, and is content after."""
    monkeypatch.setenv("CLICKHOUSE_URL", clickhouse)
    monkeypatch.setenv("CLICKHOUSE_DATABASE", f"cli_{secrets.token_hex(4)}")
    assert "`mts-stream migrate`" in finding("tables")[1]

    assert json.loads(invoke("migrate", "--json").stdout)["applied"][0].startswith("0001")
    assert "up to date" in invoke("migrate").output
    assert finding("tables")[0]


def finding(name: str) -> tuple[bool, str]:
    """What the doctor says on one thing."""
    for line in invoke("doctor", "--json").stdout.splitlines():
        found = json.loads(line)
        if found["name"] == name:
            return found["ok"], found["text"]
    raise AssertionError(f"the doctor looked at no {name}")


def test_the_doctor_says_what_to_do_about_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing runs: every line is there, those that need a part say how to get it, and the exit code is 1."""
    kafka, store = free_ports(2)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", f"127.0.0.1:{kafka}")
    monkeypatch.setenv("CLICKHOUSE_URL", f"http://127.0.0.1:{store}")
    result = invoke("doctor")

    assert result.exit_code == 1
    assert [name for name in CHECKS if name in result.output] == list(CHECKS)
    assert result.output.count("`mts-stream local up`") == 2


def test_a_port_that_somebody_else_holds_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the variable that moves our server away from it."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("WORKER_WEB_PORT", str(other.getsockname()[1]))
        monkeypatch.setattr("mts_stream.commands.checks.ANSWER_S", 0.2)
        ok, text = finding("port: worker")

    assert (ok, "WORKER_WEB_PORT" in text) == (False, True)


def test_a_port_of_our_own_server_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever answers with our metrics is one of us."""
    from mts_stream.metrics import serve_metrics

    monkeypatch.setenv("PRODUCER_METRICS_PORT", str(serve_metrics("127.0.0.1", 0)))

    assert finding("port: producers") == (True, f"port {load_settings().producer_metrics_port}: producers runs")
