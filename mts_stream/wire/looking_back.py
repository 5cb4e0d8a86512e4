"""What stood in a partition before an offset: asked for by time, read once, in no group."""

import time
from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaException, TopicPartition

from mts_stream.settings import Settings
from mts_stream.wire.kafka import ANSWER_S, POLL_RECORDS, Record, client_config, unavailable


def records_before(settings: Settings, topic: str, partition: int, offset: int, back_s: float) -> Iterator[Record]:
    """A partition's records of so long before the one at an offset. Blocks; raises KafkaUnavailableError."""
    consumer = Consumer(client_config(settings, **{"group.id": "mts-reader", "enable.auto.commit": False}))
    try:
        last_ms = _appended_ms(consumer, TopicPartition(topic, partition, offset))
        at = TopicPartition(topic, partition, int(last_ms - 1000 * back_s))
        start = consumer.offsets_for_times([at], timeout=ANSWER_S)[0].offset
        if not 0 <= start < offset:
            return
        consumer.assign([TopicPartition(topic, partition, start)])
        while messages := consumer.consume(POLL_RECORDS, ANSWER_S):
            for message in messages:
                if message.error() is not None:
                    continue  # librdkafka goes on by itself
                key, value, found = message.key(), message.value(), message.offset() or 0
                if found < offset:
                    yield Record(topic, partition, found, key, value, message.timestamp()[1])
                if found >= offset - 1:
                    return
    except KafkaException as error:
        raise unavailable(settings, error.args[0].str()) from error
    finally:
        consumer.close()


def _appended_ms(consumer: Consumer, place: TopicPartition) -> int:
    """When a record was appended; now, where the log ends before it."""
    _, end = consumer.get_watermark_offsets(place, timeout=ANSWER_S)
    if place.offset < end:
        consumer.assign([place])
        message = consumer.poll(ANSWER_S)
        if message is not None and message.error() is None:
            return int(message.timestamp()[1])
    return time.time_ns() // 10**6
