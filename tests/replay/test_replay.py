"""Replay: captures in, result files out."""

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.fees import FeeSchedule
from mts_stream.errors import SettingsError, UsageError
from mts_stream.replay import check_captures, replay, replay_command, zstd

CAPTURE = Path(__file__).parent / "data" / "conformance" / "random-a.jsonl.gz"
NAMES = ("signals.jsonl", "spreads.jsonl", "funding.jsonl", "quality.jsonl", "dlq.jsonl")


def results(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in NAMES}


def test_every_form_of_a_capture_gives_the_same_bytes(tmp_path: Path) -> None:
    """Plain, gzip and zstd hold the same log; empty lines are nothing."""
    text = gzip.decompress(CAPTURE.read_bytes())
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
    letters = [json.loads(line) for line in (tmp_path / "dlq.jsonl").read_text().splitlines()]
    half = (tmp_path / "signals.jsonl").read_text().splitlines()

    assert summary.dead == len(letters) == 60
    assert {letter["partition"] for letter in letters} == {0, 1}
    assert half[: len(half) // 2] == half[len(half) // 2 :]
    assert summary.as_json()["not_evaluated"] == summary.records - summary.evaluated - 60


@pytest.mark.parametrize("name", ["c.jsonl.gz", "c.jsonl.zst"])
def test_a_truncated_file_gives_what_can_be_read(name: str, tmp_path: Path) -> None:
    """A recording that broke off is replayed up to the break, and the break is told with its line."""
    text = gzip.decompress(CAPTURE.read_bytes())
    packed = gzip.compress(text) if name.endswith(".gz") else zstd.compress(text)
    (tmp_path / name).write_bytes(packed[: len(packed) // 2])

    result = CliRunner().invoke(replay_command, [str(tmp_path / name), "--out", str(tmp_path / "out"), "--json"])

    assert result.exit_code == 0
    assert "broken after line" in result.stderr
    assert json.loads(result.stdout)["records"] > 100


def test_what_is_no_capture_is_refused_by_name(tmp_path: Path) -> None:
    """A missing, an empty or a foreign file is named before anything is written."""
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "notes.txt").write_text("x")
    for name in ("missing.jsonl", "empty.jsonl", "notes.txt"):
        with pytest.raises(UsageError, match=name):
            check_captures([tmp_path / name])


def test_a_fee_that_is_missing_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    """An empty fee table stops the replay and names its variable."""
    with pytest.raises(SettingsError, match="FEES_FILE"):
        replay([CAPTURE], tmp_path, EconomicSettings(fees=FeeSchedule([])))


def test_the_summary_adds_up(tmp_path: Path) -> None:
    """For people: records = evaluated + not + dead letters, and the files with their counts."""
    result = CliRunner().invoke(replay_command, [str(CAPTURE), "--out", str(tmp_path)])

    assert result.exit_code == 0
    assert "5074 records = 2983 evaluated + 2061 not + 30 dead letters" in result.stdout
    lines = result.stdout.splitlines()
    assert [line.rpartition("/")[2] for line in lines[1:]] == sorted(NAMES)
    assert lines[1].split()[0] == "30" and "dlq.jsonl" in lines[1]
    assert "warning: 30 dead letters, mostly " in result.stderr


def test_a_capture_without_its_registry_says_so(tmp_path: Path) -> None:
    """Nothing but dead letters is no failure, but whoever reads the summary is told what is missing."""
    lines = gzip.decompress(CAPTURE.read_bytes()).splitlines(keepends=True)
    bare = tmp_path / "bare.jsonl"
    bare.write_bytes(b"".join(line for line in lines if b'"registry"' not in line))

    result = CliRunner().invoke(replay_command, [str(bare), "--out", str(tmp_path / "out"), "--json"])
    told = json.loads(result.stdout)

    assert told["dead_by_reason"]["unknown_instrument"] > 1000
    assert sum(told["dead_by_reason"].values()) == told["dead"]
    count = told["dead_by_reason"]["unknown_instrument"]
    assert f"mostly unknown_instrument ({count}): the capture does not begin with" in result.stderr
