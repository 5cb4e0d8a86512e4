"""How many frames per CPU second a producer brings from socket bytes to Kafka, beside a bare loop: `make measure`.

Both read the same recorded frames (recorded_streams.py) from the same server process (player.py) and write to the same
real broker with the same settings of librdkafka (contenders.py); each turn is a process of its own. What must hold is
asserted: every frame is in the topic once, byte for byte, nothing lost, no book out of step. The speed is only shown.
"""

import json
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from mts_stream.settings import Settings, load_settings
from mts_stream.wire.envelope import decode_envelope
from mts_stream.wire.kafka import Reader, create_topics
from mts_stream.wire.topics import RAW, TOPICS, Topic
from tests.benchmarks.contenders import BARE_TOPIC
from tests.benchmarks.recorded_streams import books, stream, symbols

SYMBOLS = 25
ROUNDS = 5
TURN_TIMEOUT_S = 180


@dataclass
class Ground:
    """Where the turns run, and what each must bring: the frames by their bytes in the log and on the socket."""

    settings: Settings
    url: str
    frames: int
    inner: Counter[bytes]
    whole: Counter[bytes]


@pytest.fixture
def player() -> Iterator[str]:
    """The address of a server that plays."""
    command = [sys.executable, "-m", "tests.benchmarks.player", f"--symbols={SYMBOLS}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"ws://127.0.0.1:{json.loads(process.stdout.readline())['port']}"
        process.terminate()


@pytest.fixture
def ground(kafka: str, player: str) -> Ground:
    """Topics for both, and the frames to look for."""
    settings = load_settings(kafka_bootstrap_servers=kafka)
    create_topics(settings, (*TOPICS, Topic(BARE_TOPIC, "what the bare loop writes")))
    whole: Counter[bytes] = Counter()
    inner: Counter[bytes] = Counter()
    for book in books():
        messages = stream(book, symbols(SYMBOLS))
        whole.update(messages)
        inner.update(messages if book.market.venue == "bybit" else map(_data, messages))
    return Ground(settings, player, whole.total() - SYMBOLS * len(books()), inner, whole)


def _data(message: bytes) -> bytes:
    """What stands in `data` of a combined message."""
    return message[message.index(b'"data":') + 7 : -1]


@pytest.mark.timeout(ROUNDS * 2 * TURN_TIMEOUT_S)
def test_frames_per_cpu_second(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything arrives on both ways; the ratio is the median of rounds whose order alternates."""
    rounds = []
    for number in range(ROUNDS):
        order = ["bare", "ours"] if number % 2 else ["ours", "bare"]
        rounds.append({contender: _turn(ground, contender) for contender in order})

    with capsys.disabled():
        _show(ground, rounds)


def _turn(ground: Ground, contender: str) -> dict[str, Any]:
    topic = RAW if contender == "ours" else BARE_TOPIC
    with Reader(ground.settings, [topic]) as reader:
        begins = reader.end_offsets()
    command = [
        sys.executable, "-m", "tests.benchmarks.contenders", contender, f"--url={ground.url}",
        f"--kafka={ground.settings.kafka_bootstrap_servers}", f"--symbols={SYMBOLS}", f"--frames={ground.frames}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=TURN_TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert (result["lost"], result.get("resyncs", 0)) == (0, 0)
    _check_arrived(ground, topic, begins)
    return result


def _check_arrived(ground: Ground, topic: str, begins: dict[tuple[str, int], int]) -> None:
    """Every frame that was played is in the topic, as often and with the same bytes."""
    found: Counter[bytes] = Counter()
    with Reader(ground.settings, [topic]) as reader:
        for record in reader.read_to_end():
            if record.offset < begins[record.topic, record.partition] or record.value is None:
                continue
            if topic == BARE_TOPIC:
                found[record.value] += 1
            elif (envelope := decode_envelope(record.value)).kind == "frame":
                found[bytes(envelope.frame)] += 1
    assert found == (ground.whole if topic == BARE_TOPIC else ground.inner)


def _show(ground: Ground, rounds: list[dict[str, dict[str, Any]]]) -> None:
    print(f"\n{ground.frames:,} frames of {SYMBOLS * len(books())} books a turn; frames per CPU second:")
    print("round       ours       bare   ratio")
    ratios = []
    for number, turns in enumerate(rounds, 1):
        ours, bare = (ground.frames / turns[name]["cpu_s"] for name in ("ours", "bare"))
        ratios.append(ours / bare)
        print(f"{number:5} {ours:10,.0f} {bare:10,.0f} {ratios[-1]:7.2f}")
    for name in ("ours", "bare"):
        loop_us = statistics.median(turns[name]["loop_thread_s"] for turns in rounds) / ground.frames * 1e6
        all_us = statistics.median(turns[name]["cpu_s"] for turns in rounds) / ground.frames * 1e6
        print(f"{name}: {all_us:.1f} us a frame, {loop_us:.1f} of it in the event loop's thread")
    print(f"median ratio {statistics.median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]")
