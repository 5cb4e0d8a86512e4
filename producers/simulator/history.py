"""The true books of the last updates, by sequence: what a client that missed nothing must hold.

Sequences begin anew when a venue's service does, so a book has epochs:

    epoch 0: ... 8801 8802 8803 | epoch 1: 1 2 3 ... | epoch 2: 1 2 ...
"""

from collections import deque
from collections.abc import Iterable

from producers.simulator.book import ASK, BID, Change

Sides = tuple[dict[int, int], dict[int, int]]
"""Bids and asks: size in lots by price in ticks."""

Levels = Iterable[tuple[int, int]]

EPOCHS_MAX = 8


class BookHistory:
    """A book some updates ago and all changes since; knows the book at each sequence between.

    Who follows a book asks for rising sequences, so the last answer is kept and only moved on.
    """

    def __init__(self, sequence: int, bids: Levels, asks: Levels, updates_max: int) -> None:
        self._base: Sides = dict(bids), dict(asks)
        self._base_sequence = self.last_sequence = sequence
        self._entries: deque[tuple[int, list[Change]]] = deque()
        self._updates_max = updates_max
        self._dropped = 0
        self._answer, self._answer_sequence, self._answer_updates = _copy(self._base), sequence, 0

    def add(self, sequence: int, changes: list[Change]) -> None:
        """Append one update; the oldest moves into the base when there are too many."""
        self.last_sequence = sequence
        self._entries.append((sequence, changes))
        if len(self._entries) > self._updates_max:
            self._base_sequence, oldest = self._entries.popleft()
            self._dropped += 1
            _apply(self._base, oldest)

    def holds(self, sequence: int) -> bool:
        """Whether the sequence lies between the oldest that is kept and the last."""
        return self._base_sequence <= sequence <= self.last_sequence

    def at(self, sequence: int) -> Sides:
        """The book after the last update up to this sequence; LookupError if that is too long ago, or yet to come."""
        if not self.holds(sequence):
            raise LookupError(f"sequence {sequence} is not among the last {self._updates_max} updates that are kept")
        if sequence < self._answer_sequence or self._answer_updates < self._dropped:
            self._answer, self._answer_sequence = _copy(self._base), self._base_sequence
            self._answer_updates = self._dropped
        for index in range(self._answer_updates - self._dropped, len(self._entries)):
            last, changes = self._entries[index]
            if last > sequence:
                break
            _apply(self._answer, changes)
            self._answer_sequence, self._answer_updates = last, self._answer_updates + 1
        return _copy(self._answer)


class BookEpochs:
    """The histories of a book from one start of its sequence to the next; the last few are kept."""

    def __init__(self, sequence: int, bids: Levels, asks: Levels, updates_max: int) -> None:
        self.epoch = 0
        self._updates_max = updates_max
        self._histories: deque[tuple[int, BookHistory]] = deque(maxlen=EPOCHS_MAX)
        self._histories.append((0, BookHistory(sequence, bids, asks, updates_max)))

    @property
    def current(self) -> BookHistory:
        """The history of the epoch that runs."""
        return self._histories[-1][1]

    def add(self, sequence: int, changes: list[Change]) -> None:
        """Append one update to the epoch that runs."""
        self.current.add(sequence, changes)

    def restart(self, sequence: int, bids: Levels, asks: Levels) -> None:
        """The sequence begins anew here, with this book."""
        self.epoch += 1
        self._histories.append((self.epoch, BookHistory(sequence, bids, asks, self._updates_max)))

    def at(self, sequence: int, epoch: int | None = None) -> Sides:
        """The book at a sequence of an epoch, by default of the newest that holds it; LookupError if none is kept."""
        for number, history in reversed(self._histories):
            if number == epoch or (epoch is None and history.holds(sequence)):
                return history.at(sequence)
        raise LookupError(f"sequence {sequence} is not among the last {self._updates_max} updates that are kept")

    def epochs_of(self, sequence: int) -> list[int]:
        """The kept epochs that hold this sequence, newest first."""
        return [number for number, history in reversed(self._histories) if history.holds(sequence)]


def _copy(book: Sides) -> Sides:
    return dict(book[BID]), dict(book[ASK])


def _apply(book: Sides, changes: list[Change]) -> None:
    for side, price, size in changes:
        if size:
            book[side][price] = size
        else:
            book[side].pop(price, None)
