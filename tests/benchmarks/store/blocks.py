"""Windows as a person without our code would hand them to clickhouse-connect: plain Python values."""

import json
from decimal import Decimal
from typing import Any, NamedTuple

from mts_stream.settings import Settings
from mts_stream.sinks.agent import limits_of
from mts_stream.sinks.batching import Batch, Batcher, Delivery
from mts_stream.sinks.rows import COLUMNS
from mts_stream.wire import topics
from mts_stream.wire.kafka import Reader

TABLE = "spreads_1s"


class Block(NamedTuple):
    """What one insert takes: a token, and the columns of COLUMNS."""

    token: str
    columns: list[list[Any]]

    def __len__(self) -> int:
        return len(self.columns[0])


def read_blocks(settings: Settings) -> list[Block]:
    """What stands on the topic of windows, in the sink's own batches."""
    batcher, batches = Batcher(topics.SPREADS, limits_of(settings)), []
    with Reader(settings, (topics.SPREADS,)) as reader:
        for record in reader.read_to_end():
            batches += batcher.on_event(Delivery(record.partition, record.offset, record.value), 0)
    return [_block(batch) for batch in [*batches, *batcher.flush()]]


def _block(batch: Batch) -> Block:
    rows = [_row(delivery) for delivery in batch.deliveries]
    return Block(batch.token("bare"), [[row[name] for row in rows] for name in COLUMNS[TABLE]])


def _row(delivery: Delivery) -> dict[str, Any]:
    message = json.loads(delivery.value or b"")
    bps = {name: None if value is None else Decimal(value) for name, value in message.items() if name.endswith("_bps")}
    walked = {name: None if value is None else Decimal(value) for name, value in message.items() if "net_bps" in name}
    source = {"source_partition": delivery.partition, "source_offset": delivery.offset}
    return message | bps | walked | source | {"window_start": message["window_start_ns"]}
