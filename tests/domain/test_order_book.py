"""The book against the plainest model: a dict per side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.domain.exact import DECIMALS, plain
from mts_stream.domain.order_book import Change, OrderBook, parse_levels
from mts_stream.domain.rejection import BadRecordError
from tests.domain.kernels import NAMES, built

prices = st.integers(1, 40)
sizes = st.integers(0, 5)
changes = st.lists(st.tuples(prices, sizes), max_size=12)


@pytest.mark.parametrize("name", NAMES)
@given(bids=changes, asks=changes, updates=st.lists(st.tuples(changes, changes), max_size=8))
def test_a_book_equals_a_dict_of_its_levels(name: str, bids: list, asks: list, updates: list) -> None:
    """Whatever comes, levels stand by price, the best ones first, and size 0 removes."""
    book = built(name).new_book()
    book.replace(Change(bids, asks))
    model = [{p: s for p, s in side if s} for side in (bids, asks)]
    for bid_changes, ask_changes in updates:
        book.update(Change(bid_changes, ask_changes))
        for side, side_changes in zip(model, (bid_changes, ask_changes), strict=True):
            for price, size in side_changes:
                side.pop(price, None)
                if size:
                    side[price] = size

    assert list(book.bids.from_best()) == sorted(model[0].items(), reverse=True)
    assert list(book.asks.from_best()) == sorted(model[1].items())
    assert book.best_bid == max(model[0], default=None)
    assert book.best_ask == min(model[1], default=None)
    assert book.equals(Change(list(model[0].items()), list(model[1].items())))


@pytest.mark.parametrize("name", NAMES)
def test_an_update_outside_the_known_range_is_ignored(name: str) -> None:
    """Bids below the lowest and asks above the highest known price are half-known: no walk meets them."""
    book = built(name).new_book()
    book.replace(Change([(100, 1), (98, 1)], [(101, 1), (103, 1)]))
    book.know(98, 103)

    book.update(Change([(97, 5), (99, 5)], [(104, 5), (102, 5)]))

    assert list(book.bids.from_best()) == [(100, 1), (99, 5), (98, 1)]
    assert list(book.asks.from_best()) == [(101, 1), (102, 5), (103, 1)]


@pytest.mark.parametrize("level", [("0", "1"), ("-1", "1"), ("1", "-1"), ("NaN", "1"), ("1", "many"), ("", "1")])
def test_an_impossible_number_names_the_record(level: tuple[str, str]) -> None:
    """A price that is not positive, a negative size or no number at all is a dead letter."""
    with pytest.raises(BadRecordError, match="impossible_number: a/b/c"):
        parse_levels([("100", "1"), level], "a/b/c")


@given(st.lists(st.tuples(st.integers(1, 10**24), st.integers(1, 10**24)), max_size=12))
def test_a_side_is_written_as_venues_do_and_read_as_it_was(levels: list) -> None:
    """JSON of plain decimal strings, best levels first."""
    book, again = OrderBook(), OrderBook()
    book.replace(Change(levels, levels))

    again.replace(again.read(book.bids.quoted(), book.asks.quoted(), ""))

    assert [list(side.from_best()) for side in (again.bids, again.asks)] == [
        list(side.from_best()) for side in (book.bids, book.asks)
    ]
    ask = book.asks.best
    assert ask is None or book.asks.quoted().startswith(b'[["%b",' % plain(ask, DECIMALS).encode())
