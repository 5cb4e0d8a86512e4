"""The producer's book against plain dicts: whatever comes in whatever order, both say the same at every step."""

import os
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mts_stream.exchanges.binance import BinancePerp, BinanceSpot
from mts_stream.exchanges.bybit import BybitPerp
from mts_stream.exchanges.venue import BookSnapshot, VenueMarket
from producers.books import ProducerBook
from tests.domain.kernels import NAMES, built
from tests.producers.fakes import binance_frame, bybit_frame, depth_frame, in_stream

EXAMPLES = max(100, int(os.environ.get("CONFORMANCE_EXAMPLES", "0")) // 10)
Levels = list[tuple[int, int]]


@dataclass
class Diff:
    """One diff: its ids and what it changes."""

    first: int
    last: int
    previous: int
    bids: Levels
    asks: Levels


@dataclass
class ModelBook:
    """A base and the diffs that follow it; the whole book is worked out anew each time that somebody asks."""

    rule: str  # "range" (Binance spot), "link" (Binance perp), "one" (Bybit)
    base: tuple[dict[int, int], dict[int, int]] | None = None
    base_id: int = 0
    known: tuple[int, int] | None = None
    followed: list[Diff] = field(default_factory=list)
    kept: list[Diff] = field(default_factory=list)  # what a snapshot may be joined to
    keeps: bool = False

    @property
    def last_id(self) -> int:
        """The id up to which the book is known."""
        return self.followed[-1].last if self.followed else self.base_id

    def reset(self) -> None:
        """Nothing is known any more."""
        self.base, self.followed, self.kept, self.keeps = None, [], [], False

    def on_diff(self, diff: Diff) -> str:
        """Stale, applied, a gap; or kept until a snapshot comes."""
        outcome = "buffered"
        if self.base is not None:
            if diff.last <= self.last_id:
                return "stale"
            if self._follows(diff, self.last_id, not self.followed):
                self.followed.append(diff)
                if self.keeps:
                    self.kept.append(diff)
                return "applied"
            self.reset()
            outcome = "gap"
        if self.rule != "one":
            self.kept.append(diff)
        return outcome

    def on_whole(self, last_id: int, bids: Levels, asks: Levels) -> None:
        """The venue's own snapshot frame: no range, no doubt."""
        self.reset()
        self.base, self.base_id, self.known = (_present(bids), _present(asks)), last_id, None

    def on_snapshot(self, last_id: int, bids: Levels, asks: Levels) -> bool:
        """A REST answer joins where what was kept follows it without a hole, and is not behind."""
        later = [diff for diff in self.kept if diff.last > last_id]
        local, joined = last_id, []
        for diff in later:
            if not self._follows(diff, local, not joined):
                break
            joined.append(diff)
            local = diff.last
        if len(joined) < len(later):
            self.kept, self.keeps = (later[len(joined) :] if self.base is None else []), False
            return False
        if self.base is not None and local < self.last_id:
            self.kept, self.keeps = [], False
            return False
        self.base, self.base_id, self.followed = (_present(bids), _present(asks)), last_id, joined
        self.known = (min(self.base[0]), max(self.base[1])) if all(self.base) else None
        self.kept, self.keeps = [], False
        return True

    def _follows(self, diff: Diff, local: int, is_first: bool) -> bool:
        if diff.last <= local:
            return False
        if self.rule == "range":
            return diff.first <= local + 1
        if self.rule == "link":
            return diff.previous == local or (is_first and diff.previous <= local)
        return diff.last == local + 1

    def whole(self) -> tuple[list[list[str]], list[list[str]]]:
        """Both sides within the known range, best levels first, as text."""
        assert self.base is not None
        bids, asks = dict(self.base[0]), dict(self.base[1])
        for diff in self.followed:
            bids.update(diff.bids)
            asks.update(diff.asks)
        low, high = self.known or (0, 10**9)
        return (
            [[str(p), str(s)] for p, s in sorted(bids.items(), reverse=True) if s and p >= low],
            [[str(p), str(s)] for p, s in sorted(asks.items()) if s and p <= high],
        )


def _present(levels: Levels) -> dict[int, int]:
    return {price: size for price, size in levels if size}


def _levels(prices: range) -> st.SearchStrategy[Levels]:
    return st.lists(st.tuples(st.sampled_from(prices), st.integers(0, 3)), max_size=3)


BIDS, ASKS = range(90, 100), range(101, 111)
steps = st.lists(
    st.fixed_dictionaries(
        {
            "do": st.sampled_from(["diff"] * 10 + ["snapshot", "snapshot", "await", "keyframe", "health", "reset"]),
            "lost": st.sampled_from([0] * 12 + [1, 2]),
            "back": st.sampled_from([0] * 6 + [1, 3]),
            "width": st.integers(1, 4),
            "bids": _levels(BIDS),
            "asks": _levels(ASKS),
            "low": st.integers(90, 97),
            "high": st.integers(103, 110),
        }
    ),
    min_size=1,
    max_size=50,
)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kernel", NAMES)
@pytest.mark.parametrize(
    ("market", "rule"),
    [(BinanceSpot(), "range"), (BinancePerp(), "link"), (BybitPerp(), "one")],
    ids=["binance-spot", "binance-perp", "bybit"],
)
@settings(max_examples=EXAMPLES)
@given(steps=steps)
def test_the_book_agrees_with_the_model_at_every_step(
    market: VenueMarket, rule: str, kernel: str, steps: list[dict[str, Any]]
) -> None:
    """Lost, repeated, old frames, snapshots that join or not, resets: outcome, sequence and levels are the same."""
    book, model = ProducerBook(market, "BTCUSDT", built(kernel).new_book), ModelBook(rule)
    truth = 100  # the venue's own last id
    for step in steps:
        match step["do"]:
            case "diff":
                truth, diff = _diff(rule, truth, step)
                assert book.on_frame(_frame(market, diff)) == model.on_diff(diff)
            case "snapshot":
                bids = [(step["low"], 1), (98, 2), *step["bids"]]
                asks = [(step["high"], 1), (102, 2), *step["asks"]]
                at = max(1, truth - step["back"])
                _snapshot(book, model, at, bids, asks)
            case "await":
                book.keep_frames(True)
                model.keeps = True
            case "reset":
                book.reset()
                model.reset()
            case "health" if model.base is not None:
                assert book.health().is_empty_side == (not all(model.whole()))
            case "keyframe":
                _compare_keyframes(book, model)
        assert book.is_synced == (model.base is not None)
        if model.base is not None:
            assert book.last_id == model.last_id
    _compare_keyframes(book, model)


def _diff(rule: str, truth: int, step: dict[str, Any]) -> tuple[int, Diff]:
    """The venue's next diff after `lost` that nobody saw, or one of `back` ids ago."""
    width = 1 if rule == "one" else step["width"]
    start = truth + step["lost"] * width - step["back"]
    first = start + 1 if rule == "range" else start + 1 + (width > 1)
    diff = Diff(max(0, first), max(1, start + width), max(0, start), step["bids"], step["asks"])
    return max(truth, diff.last), diff


def _frame(market: VenueMarket, diff: Diff) -> Any:
    bids, asks = ([[str(price), str(size)] for price, size in side] for side in (diff.bids, diff.asks))
    if market.venue == "bybit":
        return depth_frame(market, bybit_frame("delta", diff.last, bids, asks))
    previous = diff.previous if market.market == "perp" else None
    return depth_frame(market, in_stream(market.market, binance_frame(diff.first, diff.last, previous, bids, asks)))


def _snapshot(book: ProducerBook, model: ModelBook, at: int, bids: Levels, asks: Levels) -> None:
    texts = [[(str(price), str(size)) for price, size in side] for side in (bids, asks)]
    if book.market.snapshots_by_rest:
        assert book.on_snapshot(BookSnapshot(at, *texts)) == model.on_snapshot(at, bids, asks)
    else:
        frame = bybit_frame("snapshot", at, *texts)
        assert book.on_frame(depth_frame(book.market, frame)) == "replaced"
        model.on_whole(at, bids, asks)


def _compare_keyframes(book: ProducerBook, model: ModelBook) -> None:
    if model.base is None:
        with pytest.raises(ValueError):
            book.keyframe()
        return
    keyframe = book.keyframe()
    message = msgspec.json.decode(keyframe.frame)
    shown = message["data"] if book.market.venue == "bybit" else message
    sides = (shown["b"], shown["a"]) if book.market.venue == "bybit" else (shown["bids"], shown["asks"])
    assert sides == model.whole()
    assert keyframe.last_id == model.last_id
    assert keyframe.known_range == (model.known and (str(model.known[0]), str(model.known[1])))
