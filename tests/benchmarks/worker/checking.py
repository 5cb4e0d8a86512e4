"""Whether the worker's results are the engine's: every record of the raw log once more through an engine of its own.

After a kill the worker sends some results again, the same to the byte; whoever reads them drops them by their id, and
so does this. What is left has to be the engine's results, all of them, in their order.
"""

import os
import re
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from hashlib import blake2b
from multiprocessing import get_context
from typing import NamedTuple

from mts_stream.domain.engine import PartitionEngine
from mts_stream.errors import BadRecordError
from mts_stream.kernels import kernel_in_use
from mts_stream.settings import Settings
from mts_stream.wire import topics
from mts_stream.wire.codec import encode_message, key_of, topic_of
from mts_stream.wire.kafka import Reader, Record
from mts_stream.wire.reading import record_reader

DIGEST_BYTES = 12
_EMITTED = re.compile(rb'"emitted_ns":\d+,?')

Results = dict[tuple[str, bytes | None], list[bytes]]
"""Digests of the results by topic and key, in their order."""


class Checked(NamedTuple):
    """How the results on the topics differ from the engine's."""

    records: int = 0  # of the raw log
    dead: int = 0  # of them: what an engine cannot read
    expected: int = 0  # results
    lost: int = 0
    foreign: int = 0  # the engine knows no such result: false, or twice and not the same
    disordered: int = 0
    repeated: int = 0  # the same to the byte

    def __add__(self, other: object) -> "Checked":
        assert isinstance(other, Checked)
        return Checked(*map(sum, zip(self, other, strict=True)))


def digest(value: bytes) -> bytes:
    """Of a result without the one field that is the clock's."""
    return blake2b(_EMITTED.sub(b"", value), digest_size=DIGEST_BYTES).digest()


def compare(expected: Results, sent: Results) -> Checked:
    """Where the sent results differ from the expected ones; a digest never comes twice among these."""
    checked = Checked()
    for key in expected.keys() | sent.keys():
        wanted, came = expected.get(key, []), sent.get(key, [])
        firsts, known = list(dict.fromkeys(came)), set(wanted)
        ours = [one for one in firsts if one in known]
        present = set(ours)
        in_order = [one for one in wanted if one in present]
        checked += Checked(
            expected=len(wanted), lost=len(wanted) - len(ours), foreign=len(firsts) - len(ours),
            disordered=sum(one != other for one, other in zip(ours, in_order, strict=True)),
            repeated=len(came) - len(firsts),
        )  # fmt: skip
    return checked


def check(settings: Settings) -> Checked:
    """All partitions, on all cores: the worker has ended."""
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, get_context("spawn"), os.sched_setaffinity, (0, range(cores))) as pool:
        return sum(pool.map(partial(_partition, settings), range(settings.partitions)), Checked())


def _partition(settings: Settings, number: int) -> Checked:
    kernel = kernel_in_use(settings.kernel)
    read, engine = record_reader(kernel.name), PartitionEngine(settings.economics(), kernel)
    expected: Results = {}
    records = dead = 0
    for record in _read(settings, (topics.RAW,), number):
        records += 1
        try:
            handled = engine.on_event(read(record.value), record.offset)
        except BadRecordError:
            dead += 1
            continue
        for message in handled.messages:
            key = topic_of(message), key_of(message)
            expected.setdefault(key, []).append(digest(encode_message(message)))
    sent: Results = {}
    for record in _read(settings, topics.RESULT_TOPICS, number):
        sent.setdefault((record.topic, record.key), []).append(digest(record.value or b""))
    return compare(expected, sent)._replace(records=records, dead=dead)


def _read(settings: Settings, names: Iterable[str], number: int) -> Iterable[Record]:
    with Reader(settings, names, partitions=[number]) as reader:
        yield from reader.read_to_end()
