"""Checkpoints of older versions are taken over, later ones refused.

tests/data/checkpoints/version-2.json.gz is what a worker of that version had after 1,500 records of `random-a`.
"""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from mts_stream.domain.engine import CLOCK_KEY, PartitionEngine
from mts_stream.domain.older_checkpoints import CHECKPOINT_VERSION
from mts_stream.domain.rejection import BadRecordError
from mts_stream.wire.codec import decode_record, encode_message
from tests.conformance.cases import capture_of, settings_of
from tests.domain.builders import PAIR
from tests.domain.kernels import NAMES, built

CASE = "random-a.expected.json.gz"
VERSION_2 = Path(__file__).parents[1] / "data" / "checkpoints" / "version-2.json.gz"
TAKEN = 1500


def checkpoints() -> dict[str, bytes]:
    """Of all pairs and the clock."""
    return {key: text.encode() for key, text in json.loads(gzip.decompress(VERSION_2.read_bytes())).items()}


def as_version_1(checkpoint: bytes) -> bytes:
    """It had two counts of a minute's records: all, and those applied."""
    data: dict[str, Any] = json.loads(checkpoint) | {"v": 1}
    for leg in data.get("pair", {}).get("legs", {}).values():
        *minute, taken, _ = leg["quality"]
        leg["quality"] = [*minute, sum(taken), taken[4]]
    return json.dumps(data).encode()


def told(engine: PartitionEngine, lines: list[bytes], first: int) -> list[bytes]:
    """What an engine says of records from an offset on."""
    messages: list[bytes] = []
    for offset, line in enumerate(lines, start=first):
        try:
            messages += map(encode_message, engine.on_event(decode_record(line), offset).messages)
        except BadRecordError:
            continue
    return messages


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("version", [1, 2])
def test_a_worker_goes_on_from_an_older_version(version: int, name: str) -> None:
    """It says what one says that read the whole log; of version 1 the minute's quality begins anew."""
    economics = settings_of(CASE).economics()
    lines = gzip.decompress(capture_of(CASE).read_bytes()).splitlines()
    whole, successor = PartitionEngine(economics, built(name)), PartitionEngine(economics, built(name))
    told(whole, lines[:TAKEN], 0)
    for key, checkpoint in checkpoints().items():
        successor.restore(key, checkpoint if version == 2 else as_version_1(checkpoint))

    expected, found = (told(engine, lines[TAKEN:], TAKEN) for engine in (whole, successor))

    assert len(expected) > 1000
    if version == 1:
        expected, found = ([m for m in messages if b'"type":"book"' not in m] for messages in (expected, found))
    assert found == expected


@pytest.mark.parametrize("key", [PAIR, CLOCK_KEY])
def test_a_later_version_is_refused(key: str) -> None:
    """With both versions in the words."""
    words = f"checkpoint of {key}: version {CHECKPOINT_VERSION + 1}, this worker knows {CHECKPOINT_VERSION}"

    with pytest.raises(ValueError, match=words):
        PartitionEngine(settings_of(CASE).economics()).restore(key, b'{"v":%d}' % (CHECKPOINT_VERSION + 1))
