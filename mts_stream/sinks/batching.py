"""What is stored together: contiguous offsets of one topic-partition, bounded by rows, bytes and age.

partition 0   10 11 12 13 | 14 15 ...     a batch ends at `rows`,
partition 1   7 8 | 20 21 ...             at a jump of offsets,
                                          and all end when the topic holds `bytes` or its oldest is `age_ns` old
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Delivery(NamedTuple):
    """One record of a topic, as it came."""

    partition: int
    offset: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds: rows of one batch, bytes held of the topic, age of the oldest record held."""

    rows: int
    bytes: int
    age_ns: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Contiguous records of one topic-partition."""

    topic: str
    deliveries: tuple[Delivery, ...]

    @property
    def partition(self) -> int:
        """The partition of all its records."""
        return self.deliveries[0].partition

    @property
    def first(self) -> int:
        """The lowest offset."""
        return self.deliveries[0].offset

    @property
    def last(self) -> int:
        """The highest offset."""
        return self.deliveries[-1].offset

    def token(self, cluster_id: str) -> str:
        """Names exactly these records, so that ClickHouse drops a repeated insert of them."""
        return f"{cluster_id}-{self.topic}-{self.partition}-{self.first}-{self.last}"

    def halves(self) -> tuple["Batch", "Batch"]:
        """Two smaller batches, to find the record that cannot be stored."""
        middle = len(self.deliveries) // 2
        return Batch(self.topic, self.deliveries[:middle]), Batch(self.topic, self.deliveries[middle:])


class Batcher:
    """Collects the records of one topic; says what has become a batch."""

    def __init__(self, topic: str, limits: Limits) -> None:
        self.topic = topic
        self.limits = limits
        self._held: dict[int, list[Delivery]] = {}
        self._bytes = 0
        self._oldest_ns: int | None = None

    def __len__(self) -> int:
        return sum(map(len, self._held.values()))

    def on_event(self, delivery: Delivery, now_ns: int) -> list[Batch]:
        """Take one record; the batches that it completes, in the order of their offsets."""
        done: list[Batch] = []
        held = self._held.get(delivery.partition)
        if held and held[-1].offset + 1 != delivery.offset:
            done.append(self._close(delivery.partition))
        self._held.setdefault(delivery.partition, []).append(delivery)
        self._bytes += _size(delivery)
        if self._oldest_ns is None:
            self._oldest_ns = now_ns
        if self._bytes >= self.limits.bytes:
            return done + self.flush()
        if len(self._held[delivery.partition]) >= self.limits.rows:
            done.append(self._close(delivery.partition))
        return done

    def on_time(self, now_ns: int) -> list[Batch]:
        """Everything held, once the oldest record is old enough."""
        if self._oldest_ns is None or now_ns - self._oldest_ns < self.limits.age_ns:
            return []
        return self.flush()

    def flush(self) -> list[Batch]:
        """Everything held."""
        return [self._close(partition) for partition in sorted(self._held)]

    def clear(self) -> None:
        """Forget everything held: it will be read again."""
        self._held.clear()
        self._bytes = 0
        self._oldest_ns = None

    def _close(self, partition: int) -> Batch:
        batch = Batch(self.topic, tuple(self._held.pop(partition)))
        self._bytes -= sum(map(_size, batch.deliveries))
        if not self._held:
            self._oldest_ns = None
        return batch


def _size(delivery: Delivery) -> int:
    return len(delivery.value or b"")


def by_partition(batches: Iterable[Batch]) -> list[list[Batch]]:
    """The batches of each partition, which must be stored one after the other."""
    groups: dict[int, list[Batch]] = {}
    for batch in batches:
        groups.setdefault(batch.partition, []).append(batch)
    return list(groups.values())
