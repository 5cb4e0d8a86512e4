"""`python -m producers record`: a real broker's log and the simulator's feeds, in files whole however it ends."""

import asyncio
import errno
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mts_stream.errors import CaptureError, KafkaUnavailableError, UsageError
from mts_stream.replay import read_lines, replay
from mts_stream.settings import Settings, load_settings
from mts_stream.wire.envelope import decode_envelope, encode_envelope
from mts_stream.wire.kafka import Reader, send_all
from mts_stream.wire.topics import DEAD_LETTERS, QUALITY, RAW
from producers.captures import PART, CaptureDirectory, CaptureFile, Rotation, one_line
from producers.file_publisher import FilePublisher
from producers.record_commands import record
from producers.recorder import KafkaRecorder, LiveRecorder, disk_refused, prepare_directory
from producers.simulator.simulator import Simulator
from tests.producers.conftest import PARTITIONS, OwnBroker

NEVER = Rotation()
FILE_BYTES_MAX = 60_000


def record_value(number: int, size: int = 100) -> bytes:
    """An envelope that tells its number, with bytes that do not compress away."""
    frame = json.dumps({"number": number, "noise": os.urandom(size).hex()}).encode()
    return encode_envelope(
        venue="binance", market="spot", channel="depth", kind="snapshot", symbol="A", pair="A-USDT",
        received_ns=number, conn="c", gen=1, seq=number, frame=frame,
    )  # fmt: skip


def lines_of(*paths: Path) -> list[bytes]:
    """The records in files, one after the other; none may be broken."""
    return [line for path in paths for line in read_lines(path, lambda _: None, pytest.fail)]


def numbers_of(*paths: Path) -> list[int]:
    """The running numbers of the records in files."""
    return [decode_envelope(line).seq for line in lines_of(*paths)]


@pytest.fixture
def settings(own_broker: OwnBroker) -> Settings:
    """The broker's address."""
    return load_settings(kafka_bootstrap_servers=own_broker.address, partitions=PARTITIONS)


@contextmanager
def recording(
    recorder: KafkaRecorder, until_records: int
) -> Iterator[threading.Thread]:  # fmt: skip
    """A recorder in a thread that ends when so many records were taken; begun when the block is entered."""
    ready, seen = threading.Event(), [0]
    began_s = time.monotonic()

    def progress(records: int, size_bytes: int) -> None:
        seen[0] = records

    def is_done() -> bool:
        return seen[0] >= until_records or time.monotonic() - began_s > 30

    thread = threading.Thread(target=recorder.run, args=(is_done, ready.set, progress))
    thread.start()
    try:
        assert ready.wait(20)
        yield thread
    finally:
        thread.join(40)
        assert not thread.is_alive()


def test_what_comes_from_now_on_is_recorded_partition_by_partition(settings: Settings, tmp_path: Path) -> None:
    """Every record after the start in the order of its partition, none from before, with exact counts."""
    send_all(settings, [(RAW, b"OLD-USDT", record_value(1))])
    recorder = KafkaRecorder(settings, tmp_path, NEVER)
    with recording(recorder, 400):
        with Reader(settings, [RAW]) as reader:
            ends = reader.end_offsets()
        send_all(settings, [(RAW, f"P{n % 7}-USDT".encode(), record_value(n)) for n in range(2, 402)])
    with Reader(settings, [RAW]) as reader:
        expected = [r for r in reader.read_to_end() if r.offset >= ends[r.topic, r.partition]]
    summary = recorder.summary()

    assert len(expected) == summary["records"] == 400
    assert (summary["missing"], summary["unwritten"], summary["files"]) == (0, 0, len(summary["partitions"]))
    for partition, totals in summary["partitions"].items():
        of_it = [r for r in expected if r.partition == int(partition)]
        assert lines_of(tmp_path / f"capture-{partition}-0000.jsonl.zst") == [r.value for r in of_it]
        assert (totals["first_offset"], totals["last_offset"]) == (of_it[0].offset, of_it[-1].offset)
        assert totals["records"] == len(of_it)
    assert summary["bytes"] == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_from_the_beginning_means_all_that_kafka_has(settings: Settings, tmp_path: Path) -> None:
    """Also a record without a value, which is an empty line and counted."""
    send_all(settings, [(RAW, b"OLD-USDT", b""), (RAW, b"OLD-USDT", record_value(1))])
    with Reader(settings, [RAW]) as reader:
        standing = list(reader.read_to_end())
    recorder = KafkaRecorder(settings, tmp_path, NEVER, from_beginning=True)
    with recording(recorder, len(standing)):
        pass

    assert recorder.summary()["records"] == len(standing)
    assert sum(p["without_value"] for p in recorder.summary()["partitions"].values()) >= 1


def test_files_rotate_and_join_to_one_capture(settings: Settings, tmp_path: Path) -> None:
    """By size on disk; the files of a partition, joined in their order, hold every record once."""
    recorder = KafkaRecorder(settings, tmp_path, Rotation(bytes_max=1))
    with recording(recorder, 30):
        for n in range(3):
            send_all(settings, [(RAW, b"ONE-USDT", record_value(n * 10 + k, 60_000)) for k in range(1, 11)])
    files = sorted(tmp_path.iterdir())
    joined = tmp_path / "joined.jsonl.zst"
    joined.write_bytes(b"".join(path.read_bytes() for path in files))

    assert len(files) > 1 and [path.name[-14:-10] for path in files] == [f"{n:04d}" for n in range(len(files))]
    assert numbers_of(joined) == numbers_of(*files) == list(range(1, 31))


def test_a_file_gets_too_old(tmp_path: Path) -> None:
    """Rotation by time."""
    files = CaptureDirectory(tmp_path, Rotation(seconds_max=0.05))
    files.add("capture-0", b"1")
    files.tick()
    time.sleep(0.06)
    files.tick()
    files.add("capture-0", b"2")
    files.close()

    assert [lines_of(path) for path in sorted(tmp_path.iterdir())] == [[b"1"], [b"2"]]


@contextmanager
def record_process(
    *arguments: object, environment: dict[str, str], limit_bytes: int | None = None
) -> Iterator[Any]:  # fmt: skip
    """`python -m producers record`, ready to record; killed if the test leaves it behind."""

    def limit() -> None:
        if limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    command = [sys.executable, "-m", "producers", "record", "--json", *map(str, arguments)]
    # the limit would hit the coverage of the process too: there it goes without
    inherited = {k: v for k, v in os.environ.items() if limit_bytes is None or not k.startswith("COVERAGE")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**inherited, **environment},
        preexec_fn=limit,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_recording_that_is_ended_is_whole(settings: Settings, number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C or SIGTERM: exit 0, all records, the final names, the last line's counts."""
    environment = {"KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers}
    with record_process("--out", tmp_path / "new" / "folder", environment=environment) as process:
        assert json.loads(process.stdout.readline())["event"] == "ready"
        send_all(settings, [(RAW, b"ONE-USDT", record_value(n, 2000)) for n in range(1, 501)])
        deadline = time.monotonic() + 20
        while sum(path.stat().st_size for path in (tmp_path / "new" / "folder").iterdir()) < 100_000:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    done = json.loads(out.splitlines()[-1])
    (path,) = (tmp_path / "new" / "folder").iterdir()

    assert (process.returncode, err) == (0, "")
    assert done["records"] == len(numbers_of(path)) and numbers_of(path) == list(range(1, done["records"] + 1))
    assert done["bytes"] == path.stat().st_size and path.name.endswith("-0000.jsonl.zst")


def test_a_killed_recording_leaves_what_it_had_flushed(tmp_path: Path) -> None:
    """A `.part` of whole frames: every line in it can be read."""
    file = CaptureFile(tmp_path / "capture-0-0000.jsonl.zst")
    for n in range(1, 4):
        file.add(record_value(n))
        file.flush()
    file.add(record_value(4))
    left = tmp_path / "left.jsonl.zst"
    left.write_bytes((tmp_path / f"capture-0-0000.jsonl.zst{PART}").read_bytes())

    assert numbers_of(left) == [1, 2, 3]
    file.close()
    file.close()
    assert numbers_of(file.path) == [1, 2, 3, 4]


def test_a_disk_that_refuses_leaves_what_was_written(settings: Settings, tmp_path: Path) -> None:
    """One line, exit 1; the file ends with its last whole frame, and the line counts the records in it."""
    environment = {"KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers}
    with record_process("--out", tmp_path, environment=environment, limit_bytes=FILE_BYTES_MAX) as process:
        assert json.loads(process.stdout.readline())["event"] == "ready"
        number, deadline = 0, time.monotonic() + 30
        while process.poll() is None:
            assert time.monotonic() < deadline
            more = range(number + 1, number + 5)
            send_all(settings, [(RAW, b"ONE-USDT", record_value(n, 5000)) for n in more])
            number = more[-1]
            time.sleep(0.3)  # so that more than one frame is written
        _, err = process.communicate()
    (path,) = tmp_path.iterdir()
    readable = numbers_of(path)

    assert process.returncode == 1
    assert len(err.splitlines()) == 1
    assert f"cannot write to {tmp_path}: File too large" in err
    assert f"{len(readable)} records in 1 files of {tmp_path} can be read" in err
    assert readable == list(range(1, len(readable) + 1)) and readable


def test_a_full_disk_has_its_own_words(tmp_path: Path) -> None:
    """What to do is named."""
    counts = CaptureDirectory(tmp_path, NEVER).counts
    error = disk_refused(OSError(errno.ENOSPC, "No space left on device"), tmp_path, counts)
    assert str(error).startswith(f"no space left on the disk of {tmp_path}: free some room or choose another --out")


def test_a_folder_that_holds_a_capture_is_refused(tmp_path: Path) -> None:
    """Recordings never mix; neither is a file a folder."""
    (tmp_path / "capture-3-0000.jsonl.zst.part").touch()
    with pytest.raises(UsageError, match=r"holds a capture already \(capture-3-0000"):
        prepare_directory(tmp_path)
    with pytest.raises(UsageError, match="choose a directory that can be written"):
        prepare_directory(tmp_path / "capture-3-0000.jsonl.zst.part")


def test_without_kafka_it_says_so(unused_tcp_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address and its setting."""
    monkeypatch.setattr("mts_stream.wire.kafka.ANSWER_S", 0.5)
    recorder = KafkaRecorder(load_settings(kafka_bootstrap_servers=f"127.0.0.1:{unused_tcp_port}"), tmp_path, NEVER)
    with pytest.raises(KafkaUnavailableError, match="KAFKA_BOOTSTRAP_SERVERS"):
        recorder.run(lambda: True, lambda: None, lambda records, size: None)
    assert not list(tmp_path.iterdir())


def test_a_value_is_one_line() -> None:
    """JSON means the same with a space where a line broke."""
    assert one_line(b'{"a":\r\n1}') == b'{"a":  1}\n'


def test_a_capture_needs_its_name(tmp_path: Path) -> None:
    """The ending says how it is compressed."""
    with pytest.raises(ValueError, match="a capture's name ends in"):
        CaptureFile(tmp_path / "x.txt")


async def test_live_feeds_are_recorded_without_kafka(simulator: Simulator, simulated: Settings, tmp_path: Path) -> None:
    """One capture of all venues that replays without a dead letter; the last statuses are `down`."""
    recorder, stop, ready = LiveRecorder(simulated, tmp_path, NEVER), asyncio.Event(), asyncio.Event()
    seen: list[int] = []
    task = asyncio.create_task(recorder.run(stop, ready.set, lambda records, size: seen.append(records)))
    async with asyncio.timeout(30):
        while not seen or seen[-1] < 1500:
            assert not task.done()
            await asyncio.sleep(0.05)
    stop.set()
    await asyncio.wait_for(task, 20)
    summary = recorder.summary()
    path = tmp_path / "capture-0-0000.jsonl.zst"
    envelopes = [decode_envelope(line) for line in lines_of(path)]
    replayed = replay([path], tmp_path / "out", load_settings().economics())

    assert ready.is_set() and summary["pairs"] == 8
    assert summary["records"] == len(envelopes) == replayed.records == sum(summary["by_kind"].values())
    assert (summary["unwritten"], replayed.dead) == (0, 0)
    assert envelopes[0].kind == "registry" and summary["by_kind"]["keyframe"] > 10
    last = {e.conn: bytes(e.frame) for e in envelopes if e.kind == "status"}
    assert len(last) == 5 and all(b'"down"' in frame for frame in last.values())


async def test_the_live_command_ends_by_its_duration(simulator: Simulator, tmp_path: Path) -> None:
    """Ready line, exit 0, the counts of a file that holds them."""
    arguments = ["record", "--from", "live", "--duration", "1", "--out", str(tmp_path), "--json"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "producers", *arguments, env={**os.environ, **simulator.urls},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 30)
    ready, done = map(json.loads, out.splitlines())

    assert process.returncode == 0, err
    assert ready == {"event": "ready", "from": "live", "out": str(tmp_path)}
    assert done["records"] == len(lines_of(tmp_path / "capture-0-0000.jsonl.zst")) > 0


def test_what_contradicts_is_refused(tmp_path: Path) -> None:
    """The venues' feeds have no beginning to go back to."""
    done = CliRunner().invoke(record, ["--from", "live", "--from-beginning", "--out", str(tmp_path)])
    assert done.exit_code == 2 and "--from-beginning goes with --from kafka alone" in done.output


async def test_a_disk_that_refuses_ends_a_live_recording(
    simulator: Simulator, simulated: Settings, tmp_path: Path
) -> None:  # fmt: skip
    """Its folder is taken away: one error, and nothing hangs."""
    folder = tmp_path / "gone"
    prepare_directory(folder)
    recorder, stop = LiveRecorder(simulated, folder, NEVER), asyncio.Event()
    folder.rmdir()
    with pytest.raises(CaptureError, match=r"cannot write to .*gone"):
        await asyncio.wait_for(recorder.run(stop, lambda: None, lambda records, size: None), 30)


async def test_a_full_queue_refuses_as_kafka_does(tmp_path: Path) -> None:
    """Records that must go still do; quality is left out of captures, dead letters have a file of their own."""
    small = load_settings(producer_queue_records=100)
    files = CaptureDirectory(tmp_path, NEVER)
    publisher = FilePublisher(small, files, lambda: None)
    assert publisher.send(QUALITY, b"c", b"{}", "quality") and publisher.left_out["quality"] == 1
    assert publisher.send(DEAD_LETTERS, b"c", b'{"origin":"producer"}', "dead_letter")
    refused = taken = 0
    while not refused:
        if publisher.send(RAW, b"A", record_value(taken + 1), "frame"):
            taken += 1
        else:
            refused = 1
            assert publisher.stalled_s > 0 and not publisher.has_room
            assert publisher.send(RAW, b"A", record_value(taken + 1), "status", must=True)
    assert await publisher.flush(5) == 0

    assert numbers_of(tmp_path / "capture-0-0000.jsonl.zst") == list(range(1, taken + 2))
    assert lines_of(tmp_path / "dlq-0000.jsonl.zst") == [b'{"origin":"producer"}']
    assert publisher.confirmed == {"dead_letter": 1, "frame": taken, "status": 1}
