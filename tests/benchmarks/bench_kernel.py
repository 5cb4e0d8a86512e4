"""What reading and applying a depth record costs on either kernel, and its share of the engine: `make measure`."""

import statistics
import time
from collections.abc import Callable

import pytest

from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.kernel import Kernel, kernel
from mts_stream.domain.market_data import DepthUpdate
from mts_stream.errors import BadRecordError
from mts_stream.settings import load_settings
from mts_stream.wire.codec import decode_record
from tests.benchmarks.bench_engine import records
from tests.domain.kernels import built

ROUNDS = 5
DEEP_LEVELS = 500  # of a side at least: keyframes of 1,000 levels
Books = dict[str, list[list[tuple[int, int]]]]


def updates(name: str, is_wanted: Callable[[DepthUpdate], bool]) -> list[DepthUpdate]:
    """The depth records of a capture that can be read."""
    wanted = []
    for value in records(name):
        try:
            event = decode_record(value)
            if isinstance(event, DepthUpdate) and is_wanted(event):
                kernel("python").new_book().read(event.bids, event.asks, event.origin)
                wanted.append(event)
        except BadRecordError:
            continue
    return wanted


def apply(implementation: Kernel, depth: list[DepthUpdate]) -> tuple[float, Books]:
    """CPU seconds of reading and applying all of them, and the books that they make."""
    books = {}
    began = time.process_time()
    for update in depth:
        leg = update.origin.venue + update.origin.market
        book = books.get(leg)
        if book is None:
            book = books[leg] = implementation.new_book()
        change = book.read(update.bids, update.asks, update.origin)
        if update.replaces:
            book.replace(change)
        else:
            book.update(change)
    cpu_s = time.process_time() - began
    return cpu_s, {leg: [list(side.from_best()) for side in (book.bids, book.asks)] for leg, book in books.items()}


@pytest.mark.parametrize("what", ["all records", "50-level books", "whole books of 1,000 levels"])
def test_microseconds_a_record(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Alternating rounds over the recorded market; both kernels end with the same books."""
    kernels = kernel("python"), built("compiled")
    wanted: dict[str, Callable[[DepthUpdate], bool]] = {
        "all records": lambda update: True,
        "50-level books": lambda update: update.origin.venue == "bybit",
        "whole books of 1,000 levels": lambda update: update.replaces and update.bids.count(b"[") > DEEP_LEVELS,
    }
    depth = updates("btc", wanted[what])
    spent: dict[str, list[float]] = {one.name: [] for one in kernels}
    for _ in range(ROUNDS):
        made = []
        for one in kernels:
            cpu_s, books = apply(one, depth)
            spent[one.name].append(cpu_s / len(depth) * 1e6)
            made.append(books)
        assert made[0] == made[1]

    levels = sum(update.bids.count(b'","') + update.asks.count(b'","') for update in depth) / len(depth)
    python_us, compiled_us = (statistics.median(spent[one.name]) for one in kernels)
    with capsys.disabled():
        print(
            f"\n{what}: {len(depth):,} records of {levels:.0f} levels: Python {python_us:.1f} us, compiled "
            f"{compiled_us:.2f} us, {python_us / compiled_us:.1f} times as fast"
        )


@pytest.mark.parametrize("capture", ["btc", "random-a"])
def test_the_books_share_of_the_engine(capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Reading and applying alone, over decoding and the whole engine on the same records."""
    values, depth = records(capture), updates(capture, lambda update: True)
    for one in (kernel("python"), built("compiled")):
        whole = min(engine_s(one, values) for _ in range(ROUNDS))
        books = min(apply(one, depth)[0] for _ in range(ROUNDS))
        with capsys.disabled():
            print(
                f"\n{capture}, {one.name}: {len(values) / whole:,.0f} records per CPU second, books {books / whole:.0%}"
            )


def engine_s(implementation: Kernel, values: list[bytes]) -> float:
    """CPU seconds of decoding all records and handling them."""
    engine = PartitionEngine(load_settings().economics(), implementation)
    began = time.process_time()
    for offset, value in enumerate(values):
        try:
            engine.on_event(decode_record(value), offset)
        except BadRecordError:
            continue
    return time.process_time() - began
