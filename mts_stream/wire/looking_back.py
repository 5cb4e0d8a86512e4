"""What stood in a partition before an offset: asked for by time, read once, in no group."""

import time
from collections.abc import Iterator
from itertools import takewhile

from confluent_kafka import Consumer, KafkaException, TopicPartition

from mts_stream.settings import Settings
from mts_stream.wire.kafka import ANSWER_S, Reader, Record, client_config, unavailable


def records_before(settings: Settings, topic: str, partition: int, offset: int, back_s: float) -> Iterator[Record]:
    """A partition's records of so long before the one at an offset. Blocks; raises KafkaUnavailableError."""
    from_ms = int(_appended_ms(settings, TopicPartition(topic, partition, offset)) - 1000 * back_s)
    with Reader(settings, [topic], from_ms=from_ms, partitions=[partition]) as reader:
        yield from takewhile(lambda record: record.offset < offset, reader.read_to_end())


def _appended_ms(settings: Settings, place: TopicPartition) -> int:
    """When a record was appended; now, where the log ends before it."""
    consumer = Consumer(client_config(settings, **{"group.id": "mts-reader", "enable.auto.commit": False}))
    try:
        _, end = consumer.get_watermark_offsets(place, timeout=ANSWER_S)
        if place.offset < end:
            consumer.assign([place])
            message = consumer.poll(ANSWER_S)
            if message is not None and message.error() is None:
                return int(message.timestamp()[1])
    except KafkaException as error:
        raise unavailable(settings, error.args[0].str()) from error
    finally:
        consumer.close()
    return time.time_ns() // 10**6
