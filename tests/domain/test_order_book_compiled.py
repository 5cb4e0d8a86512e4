"""The compiled book against the Python book, its reference: whatever comes, both say and hold the same."""

import gc
import json
import os
import resource
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mts_stream.domain.exact import SCALE, scaled
from mts_stream.domain.kernel import BUILD_COMMAND
from mts_stream.domain.order_book import Change, OrderBook
from mts_stream.domain.packing import opened, sealed
from mts_stream.domain.rejection import BadRecordError
from tests.domain.kernels import built, is_stale

EXAMPLES = max(100, int(os.environ.get("CONFORMANCE_EXAMPLES", "0")))
WHERE = "a/b/c"
CompiledBook: Any = None


@pytest.fixture(autouse=True)
def compiled() -> None:
    """The class under test."""
    global CompiledBook
    CompiledBook = built("compiled").new_book


prices = st.sampled_from([f"{whole}{tail}" for whole in (98, 99, 100, 101, 102) for tail in ("", ".0", ".50", ".5001")])
sizes = st.sampled_from(["0", "0.000", "1", "2.5", "0.001", "12.00000000", "3.125"])
digits = st.text("0123456789", min_size=1, max_size=25)
rare = st.sampled_from(
    [
        "100000000000", "100000000000.5", "999999999999999999", "1000000000000000000", "9223372036854775807",
        "9223372036854775808", "9999999999999999999", "0.999999999999999999", "99.00000000000000001",
        "1.0000000000000000000", "1.", ".5", "+1", "1e2", "0099", "-0",
    ]
) | st.builds("{}.{}".format, digits, digits)  # fmt: skip
no_number = st.sampled_from(
    [
        "", ".", "-1", "1E-19", "0x1", " 1", "1 ", "NaN", "Infinity", "1_000", "٣", "1,5", "1.0000000000000000001",
        "1" * 41, "0" * 300, "1." + "0" * 300, "1.2.3", "\x00", '"',
    ]
)  # fmt: skip
usual = st.lists(st.tuples(prices, sizes), max_size=6)
unusual = st.lists(st.tuples(prices | rare, sizes | rare), max_size=3)
impossible = st.tuples(prices, no_number) | st.tuples(no_number | st.sampled_from(["0", "0.00"]), sizes)
refused = st.builds(lambda before, level, after: [*before, level, *after], usual, impossible, unusual)
sides = st.one_of(usual, usual, usual, unusual, refused)
bounds = st.none() | prices | st.sampled_from(["98.50005", "99.49999", "100.500100000000000001"]) | rare


def written(levels: list[tuple[str, str]]) -> bytes:
    """As a venue writes them."""
    return json.dumps(levels, separators=(",", ":")).encode()


def read(book: Any, bids: bytes, asks: bytes) -> Any:
    """A change, or the words of the refusal."""
    try:
        return book.read(bids, asks, WHERE)
    except BadRecordError as error:
        return error.reason, error.detail


def shown(book: Any) -> dict[str, Any]:
    """Everything that can be seen of a book."""
    return {
        "levels": [list(side.from_best()) for side in (book.bids, book.asks)],
        "sizes": [dict(side.sizes) for side in (book.bids, book.asks)],
        "best": [book.best_bid, book.best_ask, book.bids.best, book.asks.best],
        "lengths": [len(book.bids), len(book.asks)],
        "quoted": [book.bids.quoted(), book.asks.quoted()],
        "snapshots": [book.bids.snapshot(), book.asks.snapshot()],
        "state": [book.flaw, book.lowest_bid, book.highest_ask, book.version],
    }


class BothBooks(RuleBasedStateMachine):
    """The same is done to both books."""

    def __init__(self) -> None:
        super().__init__()
        self.python, self.compiled = OrderBook(), CompiledBook()

    @rule(bids=sides, asks=sides, what=st.sampled_from(["update", "update", "update", "replace", "equals"]))
    def record(self, bids: list, asks: list, what: str) -> None:
        """A depth record: read, then taken, or refused with the same words."""
        changes = [read(book, written(bids), written(asks)) for book in (self.python, self.compiled)]
        if isinstance(changes[1], tuple):
            assert changes[0] == changes[1]
            return
        done = [getattr(b, what)(c) for b, c in zip((self.python, self.compiled), changes, strict=True)]
        assert done[0] == done[1]

    @rule()
    def keyframe(self) -> None:
        """What the book says already, level by level, is equal to it."""
        sides = [list(side.from_best()) for side in (self.python.bids, self.python.asks)]
        assert self.compiled.equals(Change(*sides))

    @rule(lowest=bounds, highest=bounds)
    def know(self, lowest: str | None, highest: str | None) -> None:
        """A range."""
        known = []
        for bound in (lowest, highest):
            try:
                known.append(None if bound is None else scaled(bound))
            except ValueError:
                return
        self.python.know(*known)
        self.compiled.know(*known)

    @rule(crosses=st.booleans())
    def restart(self, crosses: bool) -> None:
        """Both books begin anew from snapshots, which a book of the other kind may have made."""
        books = self.compiled, self.python
        python, compiled = OrderBook(), CompiledBook()
        for book, other in zip((python, compiled), books if crosses else books[::-1], strict=True):
            saved = opened(sealed({"sides": [other.bids.snapshot(), other.asks.snapshot()]}))["sides"]
            book.restore(*saved)
            book.know(other.lowest_bid, other.highest_ask)
        self.python, self.compiled = python, compiled

    @invariant()
    def agree(self) -> None:
        """Both show the same."""
        assert shown(self.compiled) == shown(self.python)


TestBothBooks = BothBooks.TestCase
TestBothBooks.settings = settings(max_examples=EXAMPLES, stateful_step_count=25)


def test_the_kernel_is_built_from_these_sources() -> None:
    """A kernel of older sources would be tested here instead of this one."""
    assert not is_stale(), f"mts_stream/domain/*.pyx is newer than what was built from it: {BUILD_COMMAND}"


@settings(max_examples=5 * EXAMPLES)
@given(bids=usual, asks=usual, data=st.data())
def test_damaged_bytes_are_read_alike(bids: list, asks: list, data: st.DataObject) -> None:
    """Whatever single bytes are changed, lost or added: the same levels, or the same words."""
    damaged = bytearray(written(bids))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged)))
        byte = data.draw(st.sampled_from(b'[]",.0159-e \x00\xff\\{') | st.integers(0, 255))
        damaged[at : at + data.draw(st.integers(0, 1))] = bytes([byte]) * data.draw(st.integers(0, 1))
    python, compiled = OrderBook(), CompiledBook()
    expected, seen = (read(book, bytes(damaged), written(asks)) for book in (python, compiled))

    if isinstance(seen, tuple):
        assert seen == expected
    else:
        python.replace(expected)
        compiled.replace(seen)
        assert shown(compiled) == shown(python)


def test_levels_in_any_order_make_one_book() -> None:
    """A snapshot may come unsorted and say a price twice: the last size that is not 0 stands."""
    levels = [(str(price), str(number)) for number, price in enumerate([5, 3, 9, 3, 7, 9, 1, 3])]
    bids, asks = written([*levels, ("9", "0")]), written(levels[::-1])
    python, compiled = OrderBook(), CompiledBook()
    for book in (python, compiled):
        book.replace(book.read(bids, asks, WHERE))

    assert list(compiled.bids.from_best()) == [(p * SCALE, s * SCALE) for p, s in ((9, 5), (7, 4), (3, 7), (1, 6))]
    assert shown(compiled) == shown(python)


def test_what_64_bits_do_not_hold_is_kept_in_python_until_it_is_replaced() -> None:
    """Eighteen decimals beside eleven digits: the book goes on, exact; a snapshot that fits makes it narrow again."""
    book, reference = CompiledBook(), OrderBook()
    for bids, what in (
        ([("100", "1")], "replace"),
        ([("99.000000000000000001", "1"), ("12345678901", "2")], "update"),
        ([("99.000000000000000001", "0")], "update"),
        ([("98.5", "1")], "replace"),
    ):
        for each in (book, reference):
            getattr(each, what)(each.read(written(bids), b"[]", WHERE))
        assert shown(book) == shown(reference)
        assert (book.wide is not None) == (what == "update")


@pytest.mark.parametrize(
    "first", [("100000000000", "1"), ("1", "100000000000"), ("1.0000000001", "1.0000000001"), ("1.5", "1.5")]
)
@pytest.mark.parametrize("second", [("2.0000000001", "1"), ("2", "1.0000000001"), ("200000000000", "1"), ("2", "2e11")])
@pytest.mark.parametrize("size", ["1", "9999999999999999999", "999999999999999999"])
def test_numbers_that_do_not_fit_beside_each_other(first: Any, second: Any, size: str) -> None:
    """Each fits alone, some not with the other's decimals: whatever comes first, nothing is cut off."""
    book, reference = CompiledBook(), OrderBook()
    for each in (book, reference):
        each.replace(each.read(written([first]), written([("300", "1")]), WHERE))
        each.update(each.read(written([second]), written([("301", size)]), WHERE))

    assert shown(book) == shown(reference)


@pytest.mark.parametrize("known", [("99.05", "101.05"), ("99.049", "101.049"), ("99.051", "101.051"), ("1e20", "1e20")])
def test_a_known_range_is_kept_to_finer_than_the_book_counts(known: tuple[str, str]) -> None:
    """A bound between two prices that the book can hold lets in just those on its inner side."""
    book, reference = CompiledBook(), OrderBook()
    levels = [(f"{whole}.{tail}", "1") for whole in (99, 101) for tail in ("00", "04", "05", "06", "10")]
    for each in (book, reference):
        each.know(*map(scaled, known))
        each.update(each.read(written(levels), written(levels), WHERE))

    assert shown(book) == shown(reference)


def test_a_level_with_more_decimals_rescales_the_book() -> None:
    """The book has as many decimals as it has seen, and its known range follows."""
    book = CompiledBook()
    book.replace(book.read(written([("100.10000000", "1")]), written([("101", "5.50")]), WHERE))
    book.know(scaled("100.05"), scaled("101.05"))
    before = book.decimals
    book.update(book.read(written([("100.0500", "2"), ("100.0499", "9")]), written([("101.05001", "1")]), WHERE))

    assert (before, book.decimals) == ((1, 1), (5, 1))
    assert list(book.bids.from_best()) == [(scaled("100.1"), SCALE), (scaled("100.05"), 2 * SCALE)]
    assert list(book.asks.from_best()) == [(scaled("101"), scaled("5.5"))]


def test_a_book_that_shrinks_gives_its_memory_back() -> None:
    """The arrays follow the levels that a snapshot has."""
    book = CompiledBook()
    large = written([(str(10_000 + i), "1") for i in range(5000)])
    book.replace(book.read(large, b"[]", WHERE))
    most = book.allocated_bytes
    book.replace(book.read(written([("1", "1")]), b"[]", WHERE))

    assert most < 5 * 5000 * 16 and book.allocated_bytes < 4096


def test_nothing_is_left_behind() -> None:
    """Records read, refused, applied, compared and dropped again and again take no memory."""
    good = [written([(f"{100 + i}.5", f"{1 + (i * n) % 7}") for i in range(400)]) for n in range(3)]
    bad = good[0][:-1] + b',["1","x"]]'
    wide = written([("1" * 30, "1")])

    def work(rounds: int) -> int:
        for _ in range(rounds):
            book = CompiledBook()
            book.replace(book.read(good[0], good[1], WHERE))
            book.update(book.read(good[2], good[0], WHERE))
            assert not book.equals(book.read(good[0], good[1], WHERE))
            assert isinstance(read(book, good[0], bad), tuple)
            book.restore(book.bids.snapshot(), book.asks.snapshot())
            book.update(book.read(wide, b"[]", WHERE))
        gc.collect()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = work(50)

    assert work(500) - before < 2048, "KiB"


def test_a_look_at_a_book_that_changes_meanwhile_ends() -> None:
    """Whoever holds an iterator over a side cannot make it read what is not there any more."""
    book = CompiledBook()
    book.replace(book.read(written([("1", "1"), ("2", "1"), ("3", "1")]), b"[]", WHERE))
    levels = book.bids.from_best()
    first = next(levels)
    book.replace(book.read(b"[]", b"[]", WHERE))

    assert first == (3 * SCALE, SCALE) and list(levels) == []
