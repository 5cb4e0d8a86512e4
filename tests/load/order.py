"""What the load tests read back from the raw log: nothing missing, nothing twice, everything in order."""

from collections import Counter, defaultdict

import msgspec

from mts_stream.settings import Settings
from mts_stream.wire.kafka import Reader
from mts_stream.wire.topics import RAW

Offsets = dict[tuple[str, int], int]


class Numbered(msgspec.Struct):
    """What of a record shows its place."""

    kind: str
    pair: str
    conn: str
    gen: int
    seq: int


_numbered = msgspec.json.Decoder(Numbered)


def ends(settings: Settings) -> Offsets:
    """Where the raw log ends now."""
    with Reader(settings, [RAW]) as reader:
        return reader.end_offsets()


def check_order(settings: Settings, begins: Offsets) -> Counter[str]:
    """The number of records by kind since `begins`.

    Asserts that within a partition the numbers of a connection's generation rise, that a pair is in one partition
    alone, and that each generation's numbers are all there, from 1 to the last.
    """
    last: dict[tuple[str, int, int], int] = {}
    seen: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
    partitions: dict[str, int] = {}
    kinds: Counter[str] = Counter()
    with Reader(settings, [RAW]) as reader:
        for record in reader.read_to_end():
            if record.offset < begins[record.topic, record.partition] or record.value is None:
                continue
            at = _numbered.decode(record.value)
            where = at.conn, at.gen, record.partition
            assert at.seq > last.get(where, 0), f"{at} stands behind {last[where]} at offset {record.offset}"
            assert not at.pair or partitions.setdefault(at.pair, record.partition) == record.partition, at
            last[where] = at.seq
            seen[at.conn, at.gen].add(at.seq)
            kinds[at.kind] += 1
    holes = {name: max(numbers) - len(numbers) for name, numbers in seen.items() if max(numbers) != len(numbers)}
    assert not holes, f"numbers missing: {holes}"
    return kinds
