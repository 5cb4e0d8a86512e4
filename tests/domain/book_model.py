"""What a book must be after each record, said once more: plain dicts and the table of DESIGN section 4, row by row."""

from dataclasses import dataclass, field
from decimal import Decimal

SILENT_AFTER_MS = 3000
Levels = dict[Decimal, Decimal]


@dataclass(frozen=True)
class Word:
    """One record for one leg; `kind` is keyframe, snapshot, diff or a status (up, alive, down). Times in ms."""

    kind: str
    conn: str
    gen: int
    at_ms: int
    bids: tuple[tuple[int, int], ...] = ()
    asks: tuple[tuple[int, int], ...] = ()
    last_id: int = 0
    first_id: int | None = None
    previous_id: int | None = None
    exchange_ms: int | None = None
    known: tuple[int, int] | None = None


@dataclass
class ModelBook:
    """The leg's book; `lag_max_ms` 0 never calls it late."""

    rule: str  # "range" (Binance spot), "link" (Binance perp), "one" (Bybit)
    lag_max_ms: int
    state: str = "empty"
    conn: str = ""
    gen: int = 0
    sequence: int = 0
    is_first: bool = False
    is_late: bool = False
    heard_ms: int = 0
    now_ms: int = 0
    sides: tuple[Levels, Levels] = field(default_factory=lambda: ({}, {}))
    known: tuple[int, int] | None = None

    @property
    def shown(self) -> str:
        """What stands in results."""
        if self.state != "valid":
            return self.state
        if self.now_ms - self.heard_ms > SILENT_AFTER_MS:
            return "silent"
        return "late" if self.is_late else "valid"

    def hear(self, word: Word | None, at_ms: int) -> None:
        """Take one record; None is one of other books, which moves time alone."""
        self.now_ms = max(self.now_ms, at_ms)
        if word is None:
            return
        own = self.state != "empty" and word.conn == self.conn
        if own and word.gen == self.gen:
            self.heard_ms = self.now_ms
        if own and word.gen < self.gen:
            return
        if word.kind in ("keyframe", "snapshot"):
            self._replace(word, own and word.gen == self.gen)
            return
        if own and word.gen > self.gen:
            self.gen = word.gen
            self._end("reset")
        if word.kind == "down" and own:
            self._end("disconnected")
        if word.kind == "diff":
            if not own:
                self._end("reset")
            elif self.state == "valid":
                self._diff(word)

    def _replace(self, word: Word, is_same_stream: bool) -> None:
        sides = _present(word.bids), _present(word.asks)
        says_the_same = is_same_stream and self.state == "valid" and word.last_id == self.sequence
        if word.kind == "keyframe" and says_the_same and sides == self.sides:
            self.known = word.known
            return
        self.conn, self.gen, self.sequence, self.state = word.conn, word.gen, word.last_id, "valid"
        self.heard_ms, self.is_first, self.known, self.sides = self.now_ms, True, word.known, sides
        self.is_late = self.is_late and is_same_stream
        self._applied(word)

    def _diff(self, word: Word) -> None:
        if word.last_id <= self.sequence:
            return
        if not self._follows(word):
            self._end("gap")
            return
        low, high = self.known or (-(10**9), 10**9)
        for side, levels, is_known in (
            (self.sides[0], word.bids, lambda price: price >= low),
            (self.sides[1], word.asks, lambda price: price <= high),
        ):
            for price, size in levels:
                if is_known(price):
                    side[Decimal(price)] = Decimal(size)
                    if size == 0:
                        del side[Decimal(price)]
        self.sequence, self.is_first = word.last_id, False
        self._applied(word)

    def _follows(self, word: Word) -> bool:
        if self.rule == "range":
            return word.first_id is not None and word.first_id <= self.sequence + 1
        if self.rule == "one":
            return word.last_id == self.sequence + 1
        assert word.previous_id is not None
        return word.previous_id == self.sequence or (
            self.is_first and word.previous_id <= self.sequence <= word.last_id
        )

    def _applied(self, word: Word) -> None:
        if word.kind != "keyframe" and self.lag_max_ms and word.exchange_ms is not None:
            self.is_late = self.now_ms - word.exchange_ms > self.lag_max_ms
        bids, asks = self.sides
        if not bids or not asks:
            self._end("exhausted")
        elif max(bids) >= min(asks):
            self._end("crossed")

    def _end(self, state: str) -> None:
        if self.state == "valid":
            self.state = state


def _present(levels: tuple[tuple[int, int], ...]) -> Levels:
    return {Decimal(price): Decimal(size) for price, size in levels if size}
