"""How fast one partition's engine is, without Kafka: `make bench`. It measures and never fails for being slow."""

import gzip
import time
from pathlib import Path

import pytest

from mts_stream.domain.engine import PartitionEngine
from mts_stream.errors import BadRecordError
from mts_stream.settings import load_settings
from mts_stream.wire.codec import decode_record, encode_message

CAPTURES = Path(__file__).parents[1] / "data" / "conformance"


def records(name: str) -> list[bytes]:
    """A capture's records."""
    with gzip.open(CAPTURES / f"{name}.jsonl.gz") as file:
        return [line.rstrip(b"\n") for line in file if line.strip()]


@pytest.mark.parametrize("name", ["btc", "random-a"])
def test_records_per_cpu_second(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Decode, engine and encode, as the worker does them; figures are per second of CPU time."""
    values = records(name)
    engine = PartitionEngine(load_settings().economics())
    results = dead = 0
    began = time.process_time()
    for offset, value in enumerate(values):
        try:
            for message in engine.on_event(decode_record(value), offset).messages:
                results += len(encode_message(message)) > 0
        except BadRecordError:
            dead += 1
    cpu_s = time.process_time() - began

    with capsys.disabled():
        rate = len(values) / cpu_s
        print(
            f"\n{name}: {len(values):,} records, {results:,} results, {dead} dead: {rate:,.0f} records per CPU second"
        )
