"""`--record`: a demo's raw records and results as files that a replay can be held against."""

import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

import orjson

from mts_stream.errors import UsageError
from mts_stream.local.demo.ledger import NATURAL_KEYS
from mts_stream.local.disk import disk_errors
from mts_stream.settings import Settings, economic_variables
from mts_stream.wire.kafka import Reader, Record
from mts_stream.wire.topics import DEAD_LETTERS, FUNDING, RAW, SIGNALS, SPREADS

COMPRESSION_LEVEL = 1  # a capture is written while somebody waits
RESULT_FILES = {
    SIGNALS: "signals.jsonl",
    SPREADS: "spreads.jsonl",
    FUNDING: "funding.jsonl",
    DEAD_LETTERS: "dlq.jsonl",
}
REMEDY = "or choose another directory with --record"
LINE_BREAKS = bytes.maketrans(b"\r\n", b"  ")


def prepare_directory(directory: Path) -> None:
    """Make the directory, so that it fails before the demo has run; raises UsageError where a capture stands."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        standing = next(directory.glob("capture-*.jsonl.gz"), None)
        with TemporaryFile(dir=directory):
            pass
    except OSError as error:
        what = error.strerror or str(error)
        raise UsageError(f"--record {directory}: {what}; choose a directory that can be written") from error
    if standing is not None:
        raise UsageError(
            f"--record {directory}: it holds a capture already ({standing.name}); choose another directory"
        )


def write_recording(settings: Settings, directory: Path, given_up: Callable[[], bool]) -> int:
    """Write all files from what the topics hold now; gives the number of raw records. Blocks: call it from a thread."""
    with disk_errors(directory, REMEDY):
        count = _write_capture(settings, directory, given_up)
        _write_results(settings, directory, given_up)
        text = json.dumps(economic_variables(settings), indent=2)
        (directory / "settings.json").write_text(text + "\n")
    return count


def _write_capture(settings: Settings, directory: Path, given_up: Callable[[], bool]) -> int:
    count = 0
    files: dict[int, BinaryIO] = {}
    with Reader(settings, [RAW]) as reader, ExitStack() as opened:
        for record in reader.read_to_end():
            if record.partition not in files:
                path = directory / f"capture-{record.partition}.jsonl.gz"
                file = gzip.open(path, "wb", compresslevel=COMPRESSION_LEVEL)  # noqa: SIM115
                files[record.partition] = opened.enter_context(file)  # type: ignore[assignment]
            files[record.partition].write(one_line(record.value))
            count += 1
            if given_up():
                break
    return count


def _write_results(settings: Settings, directory: Path, given_up: Callable[[], bool]) -> None:
    by_topic: dict[str, list[Record]] = defaultdict(list)
    with Reader(settings, RESULT_FILES) as reader:
        for record in reader.read_to_end():
            by_topic[record.topic].append(record)
            if given_up():
                return
    for topic, name in RESULT_FILES.items():
        with (directory / name).open("wb") as file:
            file.writelines(one_line(record.value) for record in without_repeats(by_topic[topic]))


def without_repeats(records: Iterable[Record]) -> list[Record]:
    """The records by partition and offset, each natural key once: the first stays."""
    first: dict[object, Record] = {}
    for record in sorted(records, key=lambda r: (r.partition, r.offset)):
        first.setdefault(_key(record), record)
    return list(first.values())


def _key(record: Record) -> object:
    try:
        message = orjson.loads(record.value or b"")
        if record.topic == DEAD_LETTERS:
            where = message["topic"], message["partition"], message["offset"]
            return message["origin"], *where, message["payload_base64"] if where[2] is None else ""
        return NATURAL_KEYS[record.topic](message)
    except (ValueError, KeyError, TypeError):
        return record.partition, record.offset


def one_line(value: bytes | None) -> bytes:
    """A value as one line; JSON means the same with a space where a line broke."""
    return (value or b"").translate(LINE_BREAKS) + b"\n"
