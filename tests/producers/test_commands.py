"""`python -m producers run` as a process: what it prints, how it ends, what a wrong setting gets."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.producers.conftest import PARTITIONS, OwnBroker

END_S = 5.0
NOWHERE = {f"{venue}_REST_URL": "http://127.0.0.1:1" for venue in ("BINANCE_SPOT", "BINANCE_PERP", "BYBIT")}


@contextmanager
def producers(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A process, killed if the test leaves it behind."""
    command = [sys.executable, "-m", "producers", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> Any:
    """Its next line on stdout."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def end(process: subprocess.Popen[str], number: signal.Signals) -> tuple[str, str]:
    """End it by a signal, within the time it has; its output."""
    began_s = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=2 * END_S)
    assert time.monotonic() - began_s <= END_S
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return out, err


def wait_for(process: subprocess.Popen[str], text: str, count: int = 1) -> str:
    """Read its log until a text was seen so often."""
    assert process.stderr is not None
    read = ""
    while read.count(text) < count:
        more = process.stderr.readline()
        assert more, read
        read += more
    return read


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_simulated_run_publishes_and_ends_cleanly(
    own_broker: OwnBroker, number: signal.Signals, tmp_path: Path
) -> None:
    """Ready line, metrics, truth and control files; `down`, flush, exit 0 and a last line with counts."""
    truth, faults, control = (tmp_path / name for name in ("truth.jsonl", "faults.jsonl", "control.txt"))
    arguments = ["run", "--simulate", "--sim-pairs", "2", "--seed", "4", "--truth", str(truth), "--json"]
    arguments += ["--control-file", str(control), "--fault", "doubled_frames", "--fault-truth", str(faults)]
    environment = {"KAFKA_BOOTSTRAP_SERVERS": own_broker.address, "PARTITIONS": str(PARTITIONS)}
    with producers(*arguments, "--metrics-port", "0", **environment) as process:
        ready = line(process)
        assert ready["simulator_control"] == control.read_text().strip()
        assert json.loads(urlopen(f"{ready['simulator_control']}/faults", timeout=5).read())["faults"] == []
        assert ready["event"] == "ready" and ready["pairs"] == ["BTC-USDT", "ETH-USDT"]
        deadline = time.monotonic() + 20
        metrics = ""
        while 'mts_published_total{kind="keyframe"}' not in metrics:
            assert time.monotonic() < deadline
            time.sleep(0.1)
            metrics = urlopen(ready["metrics"], timeout=5).read().decode()
        out, _ = end(process, number)
    done = json.loads(out.splitlines()[-1])

    assert 'mts_connection_up{conn="bybit-perp-public-0-a"} 1.0' in metrics
    assert done["event"] == "done" and done["pairs"] == 2
    assert done["published"] > done["by_kind"]["frame"] > 0
    assert done["lost"] == done["unconfirmed"] == 0
    assert truth.exists() and faults.exists()


def test_live_venues_break_by_themselves() -> None:
    """Faults without a simulator are wrong usage: exit 2."""
    with producers("run", "--live", "--faults") as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "need --simulate" in err


def test_a_control_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Exit 2, and the simulator is ended."""
    path = tmp_path / "none" / "control.txt"
    with producers("run", "--simulate", "--metrics-port", "0", "--control-file", str(path)) as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert f"--control-file {path}" in err and "Traceback" not in err


def test_without_a_network_each_venue_has_one_line(own_broker: OwnBroker) -> None:
    """It says what it cannot reach and which setting to look at, tries again, and is ended by Ctrl-C."""
    environment = {"KAFKA_BOOTSTRAP_SERVERS": own_broker.address, "PARTITIONS": str(PARTITIONS), **NOWHERE}
    with producers("run", "--live", "--metrics-port", "0", **environment) as process:
        log = wait_for(process, "instrument list not read", 4)
        _, rest = end(process, signal.SIGINT)
    errors = [json.loads(text) for text in log.splitlines() if "instrument list not read" in text]

    assert [sorted(error["venue"] for error in errors[at : at + 2]) for at in (0, 2)] == [["binance", "bybit"]] * 2
    assert "Traceback" not in log + rest
    assert "check BYBIT_REST_URL" in next(e["error"] for e in errors if e["venue"] == "bybit")


def test_without_kafka_it_says_so_and_can_be_ended(unused_tcp_port: int) -> None:
    """One line with the address, again and again."""
    environment = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{unused_tcp_port}"}
    with producers("run", "--simulate", "--metrics-port", "0", **environment) as process:
        log = wait_for(process, "waiting for Kafka")
        end(process, signal.SIGINT)
    assert f"127.0.0.1:{unused_tcp_port} (KAFKA_BOOTSTRAP_SERVERS)" in log


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"PARTITIONS": "0"}, "PARTITIONS='0'"),
        ({"PAIRS": "BTD-USDT"}, "PAIRS: no venue lists 'BTD-USDT'; the nearest are BTC-USDT"),
        ({"PARTITIONS": "7"}, "PARTITIONS=7: topic mts"),
    ],
)
def test_a_wrong_setting_ends_it_with_code_2(
    own_broker: OwnBroker, environment: dict[str, str], words: str
) -> None:  # fmt: skip
    """In one line that names the variable."""
    fitting = {"KAFKA_BOOTSTRAP_SERVERS": own_broker.address, "PARTITIONS": str(PARTITIONS)}
    with producers("run", "--simulate", "--metrics-port", "0", **(fitting | environment)) as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert words in err.splitlines()[-1] and "Traceback" not in err


def test_a_metrics_port_in_use_is_named(own_broker: OwnBroker) -> None:
    """Exit 2."""
    port = own_broker.address.rpartition(":")[2]
    with producers("run", "--live", "--metrics-port", port) as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert err.startswith(f"producers: PRODUCER_METRICS_PORT={port}: cannot be used")
