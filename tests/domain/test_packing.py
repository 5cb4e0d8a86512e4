"""Numbers in a checkpoint: they come back as they were, in few bytes, and damage is told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.domain.packing import column, numbers_of, opened, packed_side, sealed, unpacked_side

numbers = st.integers(-(10**30), 10**30) | st.integers(-300, 300) | st.sampled_from([-(2**63), 2**63 - 1, 2**63])
sizes = st.integers(0, 10**30) | st.integers(0, 10**9).map(lambda n: n * 10**12)


def through(data: Any) -> Any:
    """Into a checkpoint and out of it."""
    return opened(sealed({"data": data}))["data"]


@given(st.lists(numbers))
def test_packing_loses_nothing(values: list[int]) -> None:
    """A column comes back as it was."""
    assert numbers_of(through(column(values))) == values


@given(st.lists(st.tuples(sizes, sizes)))
def test_a_side_comes_back(levels: list[tuple[int, int]]) -> None:
    """Prices and sizes of any magnitude, in any order."""
    prices, amounts = [price for price, _ in levels], [size for _, size in levels]

    assert unpacked_side(through(packed_side(prices, amounts))) == (prices, amounts)


def test_a_number_takes_as_many_bytes_as_the_largest_needs() -> None:
    """Of prices the steps count: neighbours differ by little."""
    prices = [(60_000 - tick) * 10**16 for tick in range(1000)]

    assert packed_side(prices, [10**18] * 1000)[0][2][:1] == b"b"
    letters = [column([value])[:1] for value in (127, 128, -(2**15), 2**15, 2**31, 2**63 - 1)]
    assert letters == [b"b", b"h", b"h", b"i", b"q", b"q"]
    assert column([2**63]) == [2**63]


@pytest.mark.parametrize("damaged", [b"", b"x", b"h1", b"i123", b"z1234", b"q" * 8])
def test_what_is_damaged_is_refused(damaged: bytes) -> None:
    """An unknown size, half a number."""
    with pytest.raises(ValueError):
        numbers_of(damaged)


@given(st.integers(0, 200))
def test_a_checkpoint_that_is_cut_off_is_refused(size: int) -> None:
    """Wherever it ends, the bytes behind it are missed."""
    whole = sealed({"one": column(range(40)), "other": [{"a": column([2**40])}]})

    with pytest.raises(ValueError):
        opened(whole[: min(size, len(whole) - 1)])
    assert opened(whole) == {"one": column(range(40)), "other": [{"a": column([2**40])}]}


def test_a_checkpoint_without_bytes_is_json() -> None:
    """So the version of an older one can be read; and nothing else than JSON data and bytes may stand in it."""
    assert sealed({"v": 2, "ticks": [[1, 2]]}) == b'{"v":2,"ticks":[[1,2]]}'
    with pytest.raises(TypeError):
        sealed({"v": object()})
