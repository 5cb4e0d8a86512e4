"""The whole demo on real parts: its sums, its recording, its end whenever it is asked to end."""

import json
import re
import shutil
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from mts_stream.settings import load_settings
from mts_stream.wire.kafka import send_all
from mts_stream.wire.topics import RAW, SIGNALS
from tests.cli.running import run
from tests.demo.demo_process import DemoProcess

pytestmark = pytest.mark.slow
END_S_MAX = 10.0
QUESTIONS = Path(__file__).parents[2] / "deploy" / "clickhouse" / "questions"


BROKEN_RECORDS = (b"no envelope", b"{}", b'{"v":2}')


class Finished:
    """One demo that met bad records and ran to its end, and where it left its things."""

    def __init__(self, folder: Path) -> None:
        self.data, self.recording = folder / "data", folder / "recording"
        self.process = DemoProcess(
            "--duration", 10, "--pairs", 3, "--seed", 5, "--data", self.data, "--record", self.recording
        )
        self.process.wait_for('"ready"')
        self._send_what_cannot_be_read()
        self.code, _ = self.process.end()
        assert self.code == 0, self.process.written
        self.ready, self.done = self.process.events

    def _send_what_cannot_be_read(self) -> None:
        settings = load_settings(kafka_bootstrap_servers=self.process.events[0]["kafka"])
        records = [(RAW, b"BTC-USDT", value) for value in BROKEN_RECORDS]
        send_all(settings, [*records, (SIGNALS, b"BTC-USDT", b"no signal")])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """One demo for all that is looked at afterwards."""
    return Finished(tmp_path_factory.mktemp("demo"))


def test_programs_get_two_lines(demo: Finished) -> None:
    """First the addresses, when results flow; then the counts."""
    assert demo.ready["event"] == "ready"
    assert demo.ready["kafka"].startswith("127.0.0.1:")
    assert all(demo.ready[name].startswith("http://127.0.0.1:") for name in ("clickhouse", "web", "metrics"))
    assert (demo.done["event"], demo.done["problems"], demo.done["faults"]) == ("done", [], {})


def test_the_numbers_add_up(demo: Finished) -> None:
    """Every record was handled once, every result is one row or one refusal, and no opportunity was imagined."""
    done = demo.done

    assert done["published"] > 1000
    assert done["published"] == done["evaluated"] + done["not_evaluated"] + done["dead"]
    assert done["results"] == done["stored"] + done["refused"] > 100
    assert (done["dead"], done["refused"]) == (len(BROKEN_RECORDS), 1)
    assert [done[name] for name in ("lost", "doubled", "false_signals")] == [0] * 3
    assert done["episodes"]["expected"] >= 1
    assert done["episodes"]["found_without"] == 0


def test_every_signal_s_books_were_the_true_ones(demo: Finished) -> None:
    """By the simulator's own truth, asked while the demo ran."""
    signals = demo.done["signals"]

    assert signals["verified"] > 0
    assert (signals["untrue"], signals["untrue_ids"]) == (0, [])


def test_faults_make_no_false_signal(tmp_path: Path) -> None:
    """The exchanges break in a seeded order; what is counted adds up all the same."""
    broken = DemoProcess("--duration", 20, "--pairs", 4, "--faults", "--data", tmp_path)
    code, _ = broken.end()

    assert code == 0, broken.written
    done = broken.events[-1]
    assert [done[name] for name in ("lost", "doubled", "false_signals")] == [0] * 3
    assert len(done["faults"]) >= 5 and all(done["faults"].values())
    assert "faults played" in broken.written
    assert broken.left() == []


def test_dead_letters_are_recorded(demo: Finished) -> None:
    """Each with where it came from."""
    letters = [json.loads(line) for line in (demo.recording / "dlq.jsonl").read_text().splitlines()]

    assert sorted(letter["origin"] for letter in letters) == ["sink"] + ["worker"] * len(BROKEN_RECORDS)


def test_nothing_is_left_running(demo: Finished) -> None:
    """No process below it outlives a demo."""
    assert demo.process.left() == []


def test_a_replay_of_the_recording_gives_the_same_results(demo: Finished, tmp_path: Path) -> None:
    """Per pair byte for byte, but for the time of sending."""
    settings = {k: v for k, v in json.loads((demo.recording / "settings.json").read_text()).items() if v}
    captures = sorted(demo.recording.glob("capture-*.jsonl.gz"))
    ended = run("replay", *captures, "--out", tmp_path, "--json", **settings)

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["dead"] == len(BROKEN_RECORDS)
    for name in ("signals.jsonl", "spreads.jsonl", "funding.jsonl"):
        assert by_pair(demo.recording / name) == by_pair(tmp_path / name)


def by_pair(path: Path) -> dict[str, list[bytes]]:
    """The messages of a file by pair, without the time of sending."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for line in path.read_bytes().splitlines():
        if line != b"no signal":  # what was sent by hand is on the topic as well
            found[json.loads(line)["pair"]].append(re.sub(rb'"emitted_ns":\d+,', b"", line))
    assert found, path
    return found


def test_a_recording_needs_a_kafka_directory_without_records(demo: Finished, tmp_path: Path) -> None:
    """The directory that was just used holds some: exit 2, and nothing was recorded."""
    again = DemoProcess("--duration", 1, "--data", demo.data, "--record", tmp_path)
    code, _ = again.end()

    assert code == 2, again.written
    assert "--record needs a Kafka directory without records" in again.written
    assert list(tmp_path.iterdir()) == []
    assert again.left() == []


@pytest.mark.long
def test_a_kept_directory_is_taken_up_again(demo: Finished) -> None:
    """A second run counts its own records, and all results of both."""
    again = DemoProcess("--duration", 1, "--pairs", 3, "--data", demo.data)
    code, _ = again.end()
    done = again.events[-1]

    assert (code, done["problems"]) == (0, []), again.written
    assert done["published"] == done["evaluated"] + done["not_evaluated"] + done["dead"] > 0
    assert done["stored"] + done["refused"] == done["results"] > demo.done["results"]


@pytest.fixture
def running() -> Iterator[list[DemoProcess]]:
    """Demos that are killed when a test fails."""
    started: list[DemoProcess] = []
    yield started
    for process in started:
        process.end()


def test_what_a_demo_stored_can_be_asked_afterwards(demo: Finished) -> None:
    """`local up` on its directory, then curl: its opportunities are there, and every question has an answer."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl here")
    folder = ("--data", str(demo.data))
    up = run("local", "up", *folder, "--kafka-port", "0", "--clickhouse-port", "0", "--json")
    try:
        assert up.returncode == 0, up.stderr
        address = f"{json.loads(up.stdout)['clickhouse']}/?database=mts&user=mts_reader"

        def asked(*data: str) -> str:
            done = subprocess.run([curl, "-sS", "--fail-with-body", address, *data], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        assert int(asked("--data-binary", "SELECT count() FROM arbitrage_opportunities")) > 0
        answers = {path.stem: asked("--data-binary", f"@{path}") for path in sorted(QUESTIONS.glob("*.sql"))}
    finally:
        assert run("local", "down", *folder).returncode == 0
    assert len(answers) >= 13
    assert not {"opportunities_per_hour", "why_no_signal", "top_pairs", "survival"} - {
        n for n, a in answers.items() if a
    }


@pytest.mark.parametrize(
    ("moment", "signum", "codes"),
    [
        ("starting Kafka", signal.SIGINT, {130}),
        ("Kafka and ClickHouse answer", signal.SIGTERM, {130}),
        ('"ready"', signal.SIGINT, {0}),
        pytest.param("ending:", signal.SIGHUP, {0}, marks=pytest.mark.long),
    ],
)
def test_a_signal_ends_it_within_ten_seconds(moment: str, signum: int, codes: set[int]) -> None:
    """At whatever moment: no traceback, and nothing is left running."""
    demo = DemoProcess("--duration", 1, "--pairs", 1)
    demo.wait_for(moment)
    demo.signal(signum)
    code, took_s = demo.end()

    assert code in codes, demo.written
    assert took_s <= END_S_MAX
    assert "Traceback" not in demo.written
    assert demo.left() == []


def test_a_part_that_dies_ends_it_with_its_name_and_last_words() -> None:
    """Exit 1, one line with the log file, the data kept for whoever looks."""
    demo = DemoProcess("--duration", 60, "--pairs", 1)
    demo.wait_for('"ready"')
    demo.child("mts_stream.sink").kill()
    code, took_s = demo.end()

    assert code == 1
    assert took_s <= END_S_MAX
    assert "sink was killed by signal 9 while the demo ran: see" in demo.written
    assert "Traceback" not in demo.written
    assert demo.left() == []


def test_the_death_of_the_demo_itself_ends_all_its_parts() -> None:
    """Even kill -9 leaves no orphan."""
    demo = DemoProcess("--duration", 60, "--pairs", 1)
    demo.wait_for("Kafka and ClickHouse answer")
    demo.signal(signal.SIGKILL)
    demo.end()

    assert gone(demo)


def gone(demo: DemoProcess) -> bool:
    """Whether all its processes end within a few seconds."""
    import time

    deadline = time.monotonic() + END_S_MAX
    while demo.left():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.long
def test_of_two_workers_one_may_be_killed() -> None:
    """Both are shown with their partitions; the other takes over, and nothing is lost, doubled or false."""
    demo = DemoProcess("--duration", 15, "--pairs", 3, "--seed", 5, "--workers", 2, PARTITIONS="4")
    demo.wait_for('"ready"')
    demo.wait_for(", worker-2: ")
    demo.child(f"--web-port {demo.port_of('worker-2')}").kill()
    demo.wait_for("worker-2 was killed by signal 9: the others take over")
    code, _ = demo.end()

    assert code == 0, demo.written
    done = demo.events[-1]
    assert (done["lost"], done["doubled"], done["false_signals"], done["problems"]) == (0, 0, 0, [])
    assert done["workers_lost"] == ["worker-2"]
    assert "partitions of worker: 0 1 2 3" in demo.written
    assert demo.left() == []
