"""The true books of the last updates, by sequence: what a client that missed nothing must hold."""

from collections import deque
from collections.abc import Iterable

from producers.simulator.book import ASK, BID, Change

Sides = tuple[dict[int, int], dict[int, int]]
"""Bids and asks: size in lots by price in ticks."""


Levels = Iterable[tuple[int, int]]


class BookHistory:
    """A book some updates ago and all changes since; knows the book at each sequence between."""

    def __init__(
        self, sequence: int, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]], updates_max: int
    ) -> None:
        self._base: Sides = dict(bids), dict(asks)
        self._base_sequence = sequence
        self._entries: deque[tuple[int, list[Change]]] = deque()
        self._updates_max = updates_max

    def add(self, sequence: int, changes: list[Change]) -> None:
        """Append one update; the oldest moves into the base when there are too many."""
        self._entries.append((sequence, changes))
        if len(self._entries) > self._updates_max:
            self._base_sequence, oldest = self._entries.popleft()
            _apply(self._base, oldest)

    def at(self, sequence: int) -> Sides:
        """The book after the last update up to this sequence; LookupError if that is too long ago."""
        if sequence < self._base_sequence:
            raise LookupError(f"sequence {sequence} is older than the {self._updates_max} updates that are kept")
        book = dict(self._base[BID]), dict(self._base[ASK])
        for last, changes in self._entries:
            if last > sequence:
                break
            _apply(book, changes)
        return book


def _apply(book: Sides, changes: list[Change]) -> None:
    for side, price, size in changes:
        if size:
            book[side][price] = size
        else:
            book[side].pop(price, None)
