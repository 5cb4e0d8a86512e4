"""The README's second section, typed as it stands: every part by its own command, and rows over plain HTTP."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.services import free_port

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SECTION = (ROOT / "README.md").read_text().split("\n## By hand\n", 1)[1].split("\n## ", 1)[0]
(BLOCK,) = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
LINES = [shlex.split(line, comments=True) for line in BLOCK.replace("\\\n", "").splitlines() if line]
LASTING = [line for line in LINES if line[0] in ("faust", "python") or line == ["mts-stream", "web"]]
DEADLINE_S = 90.0

pytestmark = pytest.mark.slow


def line(*beginning: str) -> list[str]:
    """The one line of the section that begins so."""
    (found,) = (line for line in LINES if tuple(line[: len(beginning)]) == beginning)
    return found


def run(command: list[str], environment: dict[str, str]) -> str:
    """What a command that ends by itself prints."""
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]], env=environment, capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The terminals' environment after `local up` and the lines it prints; `local down` in the end."""
    ports = ("WORKER_WEB_PORT", "SINK_WEB_PORT", "PRODUCER_METRICS_PORT", "WEB_PORT")
    known = os.environ | {"DATA_DIR": str(tmp_path / "data")} | {name: str(free_port()) for name in ports}
    here = ["--kafka-port", str(free_port()), "--clickhouse-port", str(free_port())]
    printed = run([*line("mts-stream", "local", "up"), *here], known)
    try:
        yield known | dict(re.findall(r"^export (\w+)=(\S+)", printed, re.MULTILINE))
    finally:
        run(line("mts-stream", "local", "down"), known)


@pytest.fixture
def processes(environment: dict[str, str], tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """What the section leaves running, each with a log of its own."""
    started = []
    for number, command in enumerate(LASTING):
        with (tmp_path / f"{number}.log").open("wb") as log:
            full = [str(BIN / command[0]), *command[1:]]
            process = subprocess.Popen(full, env=environment, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT)
            started.append(process)
    yield started
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def asked(environment: dict[str, str]) -> str:
    """What the section's `curl` gets, or why it gets nothing."""
    *_, url, _, query = line("curl")
    try:
        address = url.replace("$CLICKHOUSE_URL", environment["CLICKHOUSE_URL"])
        with urllib.request.urlopen(address, query.encode(), timeout=10) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError) as error:
        return str(error)


def test_the_section_gives_rows(
    environment: dict[str, str], processes: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """Typed as it stands, it puts opportunities into ClickHouse and onto the topic; all ends with code 0."""
    assert len(processes) == 4
    ends = time.monotonic() + DEADLINE_S
    while "-USDT" not in (answer := asked(environment)):
        logs = [path.read_text()[-1500:] for path in sorted(tmp_path.glob("*.log"))]
        assert time.monotonic() < ends and all(p.poll() is None for p in processes), (answer, logs)
        time.sleep(0.5)

    assert "binance" in answer and "bybit" in answer
    assert "-USDT" in run([*line("mts-stream", "signals", "tail"), "--count", "1"], environment)
    for process in processes:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(30) for process in processes] == [0, 0, 0, 0]
