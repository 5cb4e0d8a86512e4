"""The engine against results that two independent Decimal implementations of the design agree on."""

import gzip
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest

from mts_stream.domain.engine import CLOCK_KEY, PartitionEngine
from mts_stream.domain.messages import Message
from mts_stream.errors import BadRecordError
from mts_stream.wire.codec import decode_record, encode_message
from tests.conformance.cases import capture_of, settings_of
from tests.domain.kernels import available


@pytest.mark.parametrize(("case", "every"), [("btc.expected.json.gz", 700), ("random-a.expected.json.gz", 83)])
def test_restarting_from_checkpoints_changes_nothing(case: str, every: int) -> None:
    """An engine that is thrown away and restored, each time on the other kernel, says what an undisturbed one says."""
    economics = settings_of(case).economics()
    kernels = cycle(available())
    undisturbed = list(_results(capture_of(case), PartitionEngine(economics)))

    engine, restarted = PartitionEngine(economics), []
    for offset, line in enumerate(_lines(capture_of(case))):
        if offset and offset % every == 0:
            successor = PartitionEngine(economics, next(kernels))
            for key in [CLOCK_KEY, *engine.pairs]:
                successor.restore(key, engine.snapshot(key))
            engine = successor
        restarted += _handled(engine, line, offset)

    assert restarted == undisturbed


def test_what_a_checkpoint_holds_is_skipped() -> None:
    """Reading again from before the checkpoints gives each result at most once more, never another one."""
    case = "random-b.expected.json.gz"
    economics = settings_of(case).economics()
    lines = list(_lines(capture_of(case)))
    engine = PartitionEngine(economics)
    for offset, line in enumerate(lines[:3000]):
        _handled(engine, line, offset)
    successor = PartitionEngine(economics)
    for key in [CLOCK_KEY, *engine.pairs]:
        successor.restore(key, engine.snapshot(key))

    for offset, line in enumerate(lines[:3000]):
        assert _handled(successor, line, offset) == []
    for offset, line in enumerate(lines[3000:], start=3000):
        assert _handled(successor, line, offset) == _handled(engine, line, offset)


def test_a_pair_does_not_depend_on_what_shares_its_partition(tmp_path: Path) -> None:
    """Each pair alone, with the status records, gives what it gave among the others."""
    case = "random-a.expected.json.gz"
    economics = settings_of(case).economics()
    lines = list(_lines(capture_of(case)))
    together: dict[str, list[bytes]] = {}
    for message in _messages(PartitionEngine(economics), enumerate(lines)):
        together.setdefault(message.pair, []).append(encode_message(message))

    for pair, expected in together.items():
        other = b'"pair":"%s"' % pair.encode()
        mine = ((i, line) for i, line in enumerate(lines) if other in line or b'"pair":""' in line)
        alone = [encode_message(m) for m in _messages(PartitionEngine(economics), mine)]
        assert alone == expected


def _lines(capture: Path) -> Iterator[bytes]:
    with gzip.open(capture) as file:
        yield from (line.rstrip(b"\n") for line in file)


def _messages(engine: PartitionEngine, lines: Iterator[tuple[int, bytes]] | object) -> Iterator[Message]:
    for offset, line in lines:  # type: ignore[attr-defined]
        try:
            yield from engine.on_event(decode_record(line), offset).messages
        except BadRecordError:
            continue


def _handled(engine: PartitionEngine, line: bytes, offset: int) -> list[bytes]:
    return [encode_message(message) for message in _messages(engine, [(offset, line)])]


def _results(capture: Path, engine: PartitionEngine) -> Iterator[bytes]:
    return (encode_message(message) for message in _messages(engine, enumerate(_lines(capture))))
