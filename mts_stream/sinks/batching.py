"""What is stored together: contiguous offsets of one topic-partition, bounded by rows, bytes and age.

partition 0   10 11 12 13 | 14 15 ...     a batch ends at `rows`,
partition 1   7 8 | 20 21 ...             at a jump of offsets,
                                          the largest ends when the topic holds `bytes`,
                                          and each when its oldest record is `age_ns` old
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import NamedTuple


class Delivery(NamedTuple):
    """One record of a topic, as it came."""

    partition: int
    offset: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds: rows of one batch, bytes held of the topic, age of a partition's oldest record."""

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
        self._held_bytes: dict[int, int] = {}
        self._bytes = 0
        self._since_ns: dict[int, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self._held.values()))

    def on_event(self, delivery: Delivery, now_ns: int) -> list[Batch]:
        """Take one record; the batches that it completes, in the order of their offsets."""
        done: list[Batch] = []
        partition = delivery.partition
        held = self._held.get(partition)
        if held and held[-1].offset + 1 != delivery.offset:
            done.append(self.close(partition))
            held = None
        if held is None:
            held = self._held[partition] = []
            self._held_bytes[partition], self._since_ns[partition] = 0, now_ns
        held.append(delivery)
        size = len(delivery.value or b"")
        self._held_bytes[partition] += size
        self._bytes += size
        if len(held) >= self.limits.rows:
            done.append(self.close(partition))
        elif self._bytes >= self.limits.bytes:
            # Not all of them: few large batches cost ClickHouse much less than many small ones.
            done.append(self.close(max(self._held_bytes, key=self._held_bytes.__getitem__)))
        return done

    def oldest_due(self, now_ns: int, ages: int = 1, but: Container[int] = ()) -> int | None:
        """The partition whose oldest record is so many ages old, and the oldest of all; None without one."""
        waiting = [partition for partition in self._held if partition not in but]
        oldest = min(waiting, key=self._since_ns.__getitem__, default=None)
        return None if oldest is None or self._since_ns[oldest] > now_ns - ages * self.limits.age_ns else oldest

    def close(self, partition: int) -> Batch:
        """What is held of a partition."""
        self._bytes -= self._held_bytes.pop(partition)
        del self._since_ns[partition]
        return Batch(self.topic, tuple(self._held.pop(partition)))

    def flush(self) -> list[Batch]:
        """Everything held."""
        return [self.close(partition) for partition in sorted(self._held)]

    def clear(self) -> None:
        """Forget everything held: it will be read again."""
        self._held.clear()
        self._held_bytes.clear()
        self._since_ns.clear()
        self._bytes = 0


def by_partition(batches: Iterable[Batch]) -> list[list[Batch]]:
    """The batches of each partition, which must be stored one after the other."""
    groups: dict[int, list[Batch]] = {}
    for batch in batches:
        groups.setdefault(batch.partition, []).append(batch)
    return list(groups.values())
