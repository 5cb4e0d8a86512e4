"""Replay: captures in, result files out."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.fees import FeeSchedule
from mts_stream.errors import ReplayDiffersError, SettingsError
from mts_stream.replay import replay, running
from mts_stream.replay.captures import LINE_BYTES_MAX, zstd
from mts_stream.replay.command import replay_command
from mts_stream.wire.codec import PAYLOAD_BYTES_MAX
from tests.cli.running import run

CONFORMANCE = Path(__file__).parents[1] / "data" / "conformance"
CAPTURE, OTHER = CONFORMANCE / "random-a.jsonl.gz", CONFORMANCE / "random-b.jsonl.gz"
NAMES = ("signals.jsonl", "spreads.jsonl", "funding.jsonl", "quality.jsonl", "dlq.jsonl")


def results(out: Path) -> dict[str, bytes]:
    """The result files; nothing else is left."""
    assert sorted(path.name for path in out.iterdir()) == sorted(NAMES)
    return {name: (out / name).read_bytes() for name in NAMES}


def command(*arguments: object) -> Result:
    """The command in this process."""
    return CliRunner().invoke(replay_command, [str(argument) for argument in arguments])


def lines() -> list[bytes]:
    """The lines of a capture with their ends."""
    return gzip.decompress(CAPTURE.read_bytes()).splitlines(keepends=True)


def letters(out: Path) -> list[dict[str, Any]]:
    """The dead letters."""
    return [json.loads(line) for line in (out / "dlq.jsonl").read_text().splitlines()]


def test_every_form_of_a_capture_gives_the_same_bytes(tmp_path: Path) -> None:
    """Plain, gzip and zstd hold the same log; empty lines are nothing."""
    text = b"".join(lines())
    plain, zst = tmp_path / "c.jsonl", tmp_path / "c.jsonl.zst"
    plain.write_bytes(text)
    zst.write_bytes(zstd.compress(text.replace(b"\n", b"\n\n")))
    for capture in (CAPTURE, plain, zst):
        replay([capture], tmp_path / capture.suffix, EconomicSettings())

    expected = results(tmp_path / ".gz")

    assert expected["spreads.jsonl"]
    assert results(tmp_path / ".jsonl") == expected
    assert {**results(tmp_path / ".zst"), "dlq.jsonl": b""} == {**expected, "dlq.jsonl": b""}


def test_several_captures_are_several_partitions(tmp_path: Path) -> None:
    """Results stand in the order of the arguments; a dead letter names its partition and offset."""
    summary = replay([CAPTURE, CAPTURE], tmp_path, EconomicSettings())
    half = (tmp_path / "signals.jsonl").read_text().splitlines()

    assert summary.dead == len(letters(tmp_path)) == 60
    assert {letter["partition"] for letter in letters(tmp_path)} == {0, 1}
    assert half[: len(half) // 2] == half[len(half) // 2 :]
    assert summary.as_json()["not_evaluated"] == summary.records - summary.evaluated - 60


def test_processes_and_hash_seeds_change_nothing(tmp_path: Path) -> None:
    """The same bytes, whatever works them off, and the same counts."""
    answers = [
        run("replay", CAPTURE, OTHER, CAPTURE, "--out", tmp_path / seed, "--jobs", jobs, "--json", PYTHONHASHSEED=seed)
        for jobs, seed in ((1, "1"), (3, "2"))
    ]

    assert [answer.returncode for answer in answers] == [0, 0], answers[0].stderr + answers[1].stderr
    assert answers[0].stdout == answers[1].stdout
    assert results(tmp_path / "1") == results(tmp_path / "2")


def test_emitted_is_event_time(tmp_path: Path) -> None:
    """No clock of ours is in a result."""
    replay(
        [OTHER],
        tmp_path,
        EconomicSettings(min_notional=Decimal(1), min_profit_usd=Decimal(-5), min_profit_bps=Decimal(-30)),
    )
    signals = [json.loads(line) for line in (tmp_path / "signals.jsonl").read_text().splitlines()]

    assert signals and all(signal["emitted_ns"] == signal["event_time_ns"] for signal in signals)


def test_a_check_says_equal(tmp_path: Path) -> None:
    """In other batches and with restarts in between the results are the same, and they are written."""
    plain, checked = tmp_path / "plain", tmp_path / "checked"
    replay([CAPTURE, OTHER], plain, EconomicSettings())

    answer = command(CAPTURE, OTHER, "--out", checked, "--check", "--json", "--jobs", 2)

    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["check"] == "equal"
    assert results(checked) == results(plain)
    assert "check: equal" in command(CAPTURE, "--out", checked, "--check", "--jobs", 1).stdout


def test_a_check_finds_what_a_checkpoint_forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that loses something over a restart is found out with file and line, and nothing is written."""
    kept = running.restarted

    def forgetful(engine: PartitionEngine) -> PartitionEngine:
        successor = kept(engine)
        for state in successor.pairs.values():
            for leg in state.engine.legs.values():
                leg.book.sequence += 1
        return successor

    monkeypatch.setattr(running, "restarted", forgetful)

    with pytest.raises(ReplayDiffersError, match=r"random-a.*spreads.jsonl, line \d+: .*nothing was written"):
        replay([CAPTURE], tmp_path, EconomicSettings(), check=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["c.jsonl.gz", "c.jsonl.zst"])
def test_a_truncated_file_gives_what_can_be_read(name: str, tmp_path: Path) -> None:
    """A recording that broke off is replayed up to the break, which is told with its line, and a dead letter."""
    text = b"".join(lines())
    packed = gzip.compress(text) if name.endswith(".gz") else zstd.compress(text)
    (tmp_path / name).write_bytes(packed[: len(packed) // 2])

    answer = command(tmp_path / name, "--out", tmp_path / "out", "--json")
    told = json.loads(answer.stdout)
    last = letters(tmp_path / "out")[-1]

    assert answer.exit_code == 0
    assert f"broken after line {last['offset']}" in answer.stderr
    assert told["records"] == last["offset"] + 1 > 100 and told["dead_by_reason"]["broken_capture"] == 1
    assert last["detail"].startswith(f"line {last['offset'] + 1}: the file breaks off")


def broken_capture(folder: Path) -> Path:
    """A capture with a line of each kind that cannot be read; the good ones are in wild order from line 200 on."""
    good = lines()
    shuffled = good[200:]
    random.Random(7).shuffle(shuffled)
    newer = good[3].replace(b'"v":1', b'"v":99')
    long = b"[" + b" " * LINE_BYTES_MAX + b"]\n"
    path = folder / "broken.jsonl"
    path.write_bytes(
        b"".join([*good[:100], b"{\n", b"\xff\xfe\n", newer, long, *good[100:200], *shuffled, good[9][:50]])
    )
    return path


def test_broken_lines_are_dead_letters(tmp_path: Path) -> None:
    """Each with its offset and line; the rest is evaluated, exit 0, and the counts add up."""
    answer = command(broken_capture(tmp_path), "--out", tmp_path / "out", "--json", "--check", "--jobs", 1)
    told = json.loads(answer.stdout)
    found = {letter["offset"]: letter for letter in letters(tmp_path / "out")}

    assert answer.exit_code == 0
    assert [found[n]["reason"] for n in range(100, 104)] == [
        "not_an_envelope", "not_an_envelope", "unknown_version", "line_too_long",
    ]  # fmt: skip
    assert found[103]["payload_bytes"] == LINE_BYTES_MAX + 2 and found[103]["truncated"]
    assert len(found[103]["payload_base64"]) < 2 * PAYLOAD_BYTES_MAX
    assert all(letter["detail"].startswith(f"line {offset + 1}: ") for offset, letter in found.items())
    assert max(found) == len(lines()) + 4 and found[max(found)]["reason"] == "not_an_envelope"
    assert told["records"] == told["evaluated"] + told["not_evaluated"] + told["dead"] == len(lines()) + 5
    assert told["evaluated"] > 400


def test_strict_fails_on_what_cannot_be_read(tmp_path: Path) -> None:
    """The results stand all the same; a capture without any dead letter is done."""
    assert command(broken_capture(tmp_path), "--out", tmp_path / "out", "--strict").exit_code == 1
    assert (tmp_path / "out" / "spreads.jsonl").stat().st_size > 0

    dead = {letter["offset"] for letter in letters(tmp_path / "out")}
    good = [line for n, line in enumerate(broken_capture(tmp_path).read_bytes().splitlines(True)) if n not in dead]
    (tmp_path / "good.jsonl").write_bytes(b"".join(good))

    assert command(tmp_path / "good.jsonl", "--out", tmp_path / "out", "--strict").exit_code == 0


def test_a_missing_or_empty_file_is_named(tmp_path: Path) -> None:
    """Exit 2 before anything starts."""
    (tmp_path / "empty.jsonl.gz").touch()
    for name in ("missing.jsonl", "empty.jsonl.gz"):
        answer = run("replay", CAPTURE, tmp_path / name, "--out", tmp_path / "out")

        assert (answer.returncode, answer.stdout) == (2, "") and name in answer.stderr
    assert not (tmp_path / "out").exists()


def test_a_fee_that_is_missing_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    """An empty fee table stops the replay, names its variable, and leaves nothing."""
    for processes in (1, 2):
        with pytest.raises(SettingsError, match="FEES_FILE"):
            replay([CAPTURE, OTHER], tmp_path, EconomicSettings(fees=FeeSchedule([])), processes=processes)
        assert list(tmp_path.iterdir()) == []


def test_an_interrupted_replay_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    """Ctrl-C, for every process of the terminal: exit 130, no traceback, no half result, no process left."""
    long, out = tmp_path / "long.jsonl", tmp_path / "out"
    long.write_bytes(b"".join(lines()) * 40)
    replay([CAPTURE], out, EconomicSettings())
    before = results(out)

    process = subprocess.Popen(
        [sys.executable, "-m", "mts_stream.cli", "replay", str(long), str(long), "--out", str(out), "--jobs", "2"],
        start_new_session=True, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while len(list(out.rglob("*/first/*/dlq.jsonl"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=30)

    assert (process.returncode, told.strip()) == (130, "")
    assert results(out) == before


def test_the_summary_adds_up(tmp_path: Path) -> None:
    """For people: records = evaluated + not + dead letters, and the files with their counts."""
    answer = command(CAPTURE, "--out", tmp_path)

    assert answer.exit_code == 0
    assert "5074 records = 2983 evaluated + 2061 not + 30 dead letters" in answer.stdout
    shown = answer.stdout.splitlines()
    assert [line.rpartition("/")[2] for line in shown[1:]] == sorted(NAMES)
    assert shown[1].split()[0] == "30" and "dlq.jsonl" in shown[1]
    assert "warning: 30 dead letters, mostly " in answer.stderr


def test_a_capture_without_its_registry_says_so(tmp_path: Path) -> None:
    """Nothing but dead letters is no failure, but whoever reads the summary is told what is missing."""
    bare = tmp_path / "bare.jsonl"
    bare.write_bytes(b"".join(line for line in lines() if b'"registry"' not in line))

    answer = command(bare, "--out", tmp_path / "out", "--json")
    told = json.loads(answer.stdout)

    assert told["dead_by_reason"]["unknown_instrument"] > 1000
    assert sum(told["dead_by_reason"].values()) == told["dead"]
    count = told["dead_by_reason"]["unknown_instrument"]
    assert f"mostly unknown_instrument ({count}): the capture does not begin with" in answer.stderr
