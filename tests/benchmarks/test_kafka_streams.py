"""The Java job of the benchmark against the Python one, without Kafka: equal to the last byte."""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from mts_stream.domain.kernel import kernel
from tests.benchmarks.same_job.job import Job
from tests.benchmarks.same_job.log import Message, messages

SOURCES = Path(__file__).parent / "kafka_streams" / "src" / "main" / "java" / "samejob"
NEEDS_KAFKA_STREAMS = {"Main", "Streams", "Options"}
TIMEOUT_S = 60
SEED = 6

Frame = dict[str, object]


@pytest.fixture(scope="module")
def classpath(jars: list[Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The job's classes, made without Maven; the broker's jars have the JSON parser."""
    javac = shutil.which("javac")
    if javac is None:
        pytest.skip("no javac on PATH: the Java job is built by `make peers` alone")
    made = str(tmp_path_factory.mktemp("classes"))
    parser = next(str(jar) for jar in jars if jar.name.startswith("jackson-core"))
    wanted = [str(path) for path in sorted(SOURCES.glob("*.java")) if path.stem not in NEEDS_KAFKA_STREAMS]
    subprocess.run([javac, "-d", made, "-cp", parser, *wanted], check=True, timeout=TIMEOUT_S)
    return os.pathsep.join((made, parser))


def in_java(java: Path, classpath: str, log: list[Message], directory: Path) -> list[bytes]:
    """The lines that the Java job makes of a log."""
    source, results = directory / "log", directory / "results"
    source.write_bytes(b"".join(b"%b %b\n" % message for message in log))
    command = [java, "-XX:TieredStopAtLevel=1", "-cp", classpath, "samejob.InProcess", source, results]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert not done.returncode, done.stderr
    return results.read_bytes().splitlines()


def in_python(log: list[Message]) -> list[bytes]:
    """The same of the Python job."""
    return [b"%b %b" % result for result in Job(kernel("python")).on_records([value for _, value in log])]


def test_the_recorded_log_gives_equal_results(java: Path, classpath: str, tmp_path: Path) -> None:
    """All faults of the capture are got over alike, and signals open, change and end alike."""
    log = messages(pairs=2, per_pair=10_000, seed=SEED)

    found = in_java(java, classpath, log, tmp_path)

    assert found == in_python(log)
    assert all(any(event in line for line in found) for event in (b"opened", b"updated", b"closed", b"second_ns"))


def test_random_logs_give_equal_results(java: Path, classpath: str, tmp_path: Path) -> None:
    """Thin books that cross, run dry and reset, ranges, doubled levels, numbers of every form that fits."""
    log = list(random_log(random.Random(SEED), 6000))

    found = in_java(java, classpath, log, tmp_path)

    assert found == in_python(log)
    assert sum(b"updated" in line for line in found) > 50


class _Venue:
    """A stream with its ids, as random as its records."""

    def __init__(self, name: str, chance: random.Random) -> None:
        self.name, self._chance = name, chance
        self._id, self._gen, self._conn, self._mid = 100, 1, 1, 100.0

    def record(self, pair: str, number: int, at_ns: int) -> bytes:
        chance = self._chance
        if chance.random() < 0.004:
            self._gen += chance.choice((-1, 1, 1))
        if chance.random() < 0.002:
            self._conn += 1
        is_keyframe = number < 10 or chance.random() < 0.08
        before = self._id + (chance.choice((-1, 1)) if chance.random() < 0.01 else 0)
        self._id = before + (0 if is_keyframe and chance.random() < 0.5 else 1)
        envelope: Frame = {
            "v": 1, "venue": self.name, "market": "perp", "channel": "depth",
            "kind": "keyframe" if is_keyframe else "frame", "symbol": pair.replace("-", ""), "pair": pair,
            "received_ns": at_ns, "conn": f"{self.name}-{self._conn}", "gen": max(1, self._gen), "seq": number,
            "frame": self._frame(is_keyframe, before),
        }  # fmt: skip
        if is_keyframe and self.name == "binance" and chance.random() < 0.5:
            envelope["range"] = ["97", "103.5"]
        return orjson.dumps(envelope)

    def _frame(self, is_keyframe: bool, before: int) -> Frame:
        levels = 12 if is_keyframe else self._chance.randrange(5)
        self._mid = self._chance.uniform(99, 101) if is_keyframe else self._mid
        bids, asks = (self._side(levels, self._mid + far, is_keyframe) for far in (-2.0, 2.0))
        if self.name == "bybit":
            kind = "snapshot" if is_keyframe else "delta"
            return {"topic": "orderbook", "type": kind, "ts": 1, "data": {"b": bids, "a": asks, "u": self._id}}
        if is_keyframe:
            return {"lastUpdateId": self._id, "bids": bids, "asks": asks}
        return {"E": 1, "U": before + 1, "u": self._id, "pu": before, "b": bids, "a": asks}

    def _side(self, levels: int, middle: float, is_keyframe: bool) -> list[list[str]]:
        chance = self._chance
        prices = [f"{chance.uniform(middle - 2, middle + 2):.{chance.randrange(3)}f}" for _ in range(levels)]
        gone = 0.05 if is_keyframe else 0.4
        return [[p, "0" if chance.random() < gone else f"{chance.uniform(0, 40):.3f}0"] for p in prices]


def random_log(chance: random.Random, count: int) -> Iterator[Message]:
    """Records of three pairs, whose time goes on mostly."""
    streams = {f"P{n}-USDT": [_Venue(name, chance) for name in ("binance", "bybit")] for n in range(3)}
    at_ns = 1_700_000_000_000_000_000
    for number in range(count):
        at_ns += chance.randrange(-20_000_000, 60_000_000)
        pair, venues = chance.choice(list(streams.items()))
        yield pair.encode(), chance.choice(venues).record(pair, number, at_ns)
