"""The engine's book against plain dicts and the table of DESIGN section 4, record by record."""

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.exact import SCALE
from mts_stream.domain.kernel import Kernel
from tests.domain.book_model import ModelBook, Word
from tests.domain.builders import T0, Bench, diff, instrument, keyframe, registry, snapshot, status
from tests.domain.kernels import available

LAG_MAX_MS = 400
EXAMPLES = max(80, int(os.environ.get("CONFORMANCE_EXAMPLES", "0")) // 10)
RULES = {"binance:spot": "range", "binance:perp": "link", "bybit:perp": "one", "bybit:spot": "one"}
BIDS, ASKS = range(95, 101), range(100, 106)  # they meet at 100, so that books cross

sizes = st.integers(0, 2)
steps = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(
                ["diff"] * 8 + ["keyframe", "keyframe", "snapshot", "up", "alive", "down", "other"]
            ),
            "conn": st.sampled_from(["a"] * 6 + ["b"]),
            "gen": st.sampled_from([0] * 10 + [1, -1]),
            "wait_ms": st.sampled_from([0, 0, 20, 20, 100, 500, -50, 3001]),
            "lag_ms": st.sampled_from([0, 50, 401, None]),
            "first": st.sampled_from([1, 1, 1, 1, 0, -3, 2]),
            "last": st.sampled_from([1, 1, 1, 1, 2, 0, -1, 5]),
            "previous": st.sampled_from([0, 0, 0, 0, -1, 1]),
            "bids": st.lists(st.tuples(st.sampled_from(BIDS), sizes), max_size=3),
            "asks": st.lists(st.tuples(st.sampled_from(ASKS), sizes), max_size=3),
            "repeats": st.booleans(),
            "range": st.sampled_from([None, None, (96, 104), (98, 102)]),
        }
    ),
    min_size=1,
    max_size=40,
)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("leg", RULES)
@pytest.mark.parametrize("lag_max_ms", [0, LAG_MAX_MS])
@settings(max_examples=EXAMPLES)
@given(steps=steps, implementation=st.sampled_from(available()))
def test_state_and_levels_agree_with_the_model_at_every_record(
    leg: str, lag_max_ms: int, steps: list[dict[str, Any]], implementation: Kernel
) -> None:
    """Gaps, repeats, resets, whole books, other connections, statuses, silence, lag: both say the same each time."""
    model = ModelBook(RULES[leg], lag_max_ms)
    bench = Bench(EconomicSettings(max_feed_lag_ms=lag_max_ms), implementation)
    bench.feed(registry(instrument(leg)))
    at_ms = 0
    start = Word("keyframe", "a", 5, 0, ((99, 1), (95, 1)), ((101, 1), (105, 1)), 10)
    for word in (start, *steps):
        if isinstance(word, dict):
            at_ms = max(0, at_ms + word["wait_ms"])
            if word["kind"] == "other":
                bench.feed(status("alive", "bybit:spot" if leg != "bybit:spot" else "bybit:perp", at_ms=at_ms))
                model.hear(None, at_ms)
                assert bench.state(leg) == model.shown
                continue
            word = _word(word, model, at_ms)
        bench.feed(_record(leg, word))
        model.hear(word, word.at_ms)

        book = bench.engine.pairs["BTC-USDT"].engine.legs[leg].book
        assert bench.state(leg) == model.shown
        assert (book.conn, book.gen, book.sequence) == (model.conn, model.gen, model.sequence)
        if model.state == "valid":
            shown = [dict(side.sizes) for side in (book.book.bids, book.book.asks)]
            assert shown == [{int(p * SCALE): int(s * SCALE) for p, s in side.items()} for side in model.sides]


def _word(step: dict[str, Any], model: ModelBook, at_ms: int) -> Word:
    """The drawn step as a record, its ids and generation relative to where the book stands."""
    kind, gen = step["kind"], max(1, (model.gen or 5) + step["gen"])
    if kind in ("up", "alive", "down"):
        return Word(kind, step["conn"], gen, at_ms)
    bids, asks = tuple(step["bids"]), tuple(step["asks"])
    exchange_ms = None if step["lag_ms"] is None else at_ms - step["lag_ms"]
    if kind == "diff":
        last_id = max(1, model.sequence + step["last"])
        first = model.sequence + step["first"] if model.rule != "one" else None
        previous = max(0, model.sequence + step["previous"]) if model.rule == "link" else None
        return Word(
            kind, step["conn"], gen, at_ms, bids, asks, last_id, first and max(1, first), previous, exchange_ms
        )  # fmt: skip
    if step["repeats"]:  # what the book says already, at the sequence where it stands
        bids, asks = (tuple((int(p), int(s)) for p, s in side.items()) for side in model.sides)
        last_id = model.sequence
    else:
        bids, asks = ((95, 1), (97, 2), *bids), ((105, 1), (103, 2), *asks)
        last_id = max(1, model.sequence + step["last"])
    known = step["range"] if kind == "keyframe" and model.rule != "one" else None
    return Word(kind, step["conn"], gen, at_ms, bids, asks, last_id, exchange_ms=exchange_ms, known=known)


def _record(leg: str, word: Word) -> Any:
    where: dict[str, Any] = {"conn": word.conn, "gen": word.gen, "at_ms": word.at_ms}
    if word.kind in ("up", "alive", "down"):
        return status(word.kind, leg, **where)
    bids, asks = (",".join(f"{price} {size}" for price, size in side) for side in (word.bids, word.asks))
    if word.kind == "keyframe":
        known = None if word.known is None else (str(word.known[0]), str(word.known[1]))
        return keyframe(leg, bids, asks, last_id=word.last_id, known=known, **where)
    exchange_ns = None if word.exchange_ms is None else T0 + word.exchange_ms * 10**6
    if word.kind == "snapshot":
        update = snapshot(leg, bids, asks, last_id=word.last_id, **where)
    else:
        update = diff(
            leg, bids, asks, first_id=word.first_id or 0, last_id=word.last_id, previous_id=word.previous_id, **where
        )  # fmt: skip
    update.exchange_ns = exchange_ns
    return update
