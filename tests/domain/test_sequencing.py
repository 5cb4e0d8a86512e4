"""The table of events and book states, line by line; and random streams against the true book."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.domain.economics import EconomicSettings
from tests.domain.builders import Bench, diff, instrument, keyframe, registry, snapshot, status

PERP, SPOT, BYBIT = "binance:perp", "binance:spot", "bybit:perp"
LEGS = (PERP, SPOT, BYBIT)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.feed(registry(*(instrument(leg) for leg in LEGS)))
    return bench


def valid(bench: Bench, leg: str) -> None:
    bench.feed(keyframe(leg, "99 1", "101 1", last_id=10))
    assert bench.state(leg) == "valid"


def test_a_book_is_empty_until_its_first_keyframe(bench: Bench) -> None:
    """Diffs alone make no book."""
    bench.feed(diff(SPOT, "99 1", "101 1", first_id=1, last_id=2))

    assert bench.state(SPOT) == "empty"


@pytest.mark.parametrize(
    ("leg", "ids", "state"),
    [
        (SPOT, {"first_id": 9, "last_id": 12}, "valid"),
        (SPOT, {"first_id": 11, "last_id": 12}, "valid"),
        (SPOT, {"first_id": 12, "last_id": 12}, "gap"),
        (PERP, {"first_id": 11, "last_id": 20, "previous_id": 10}, "valid"),
        (PERP, {"first_id": 5, "last_id": 20, "previous_id": 4}, "valid"),
        (PERP, {"first_id": 15, "last_id": 20, "previous_id": 14}, "gap"),
        (BYBIT, {"first_id": 0, "last_id": 11}, "valid"),
        (BYBIT, {"first_id": 0, "last_id": 12}, "gap"),
    ],
)
def test_the_first_diff_after_a_keyframe_must_follow_it(bench: Bench, leg: str, ids: dict, state: str) -> None:
    """Spot: U <= local + 1; USD-M: pu <= local <= u; Bybit: u == local + 1."""
    valid(bench, leg)
    bench.feed(diff(leg, "99.5 1", "", **ids))

    assert bench.state(leg) == state


def test_later_perp_diffs_must_chain_exactly(bench: Bench) -> None:
    """After the first one only pu == the previous u is good."""
    valid(bench, PERP)
    bench.feed(diff(PERP, "", "", first_id=5, last_id=20, previous_id=4))
    bench.feed(diff(PERP, "", "", first_id=21, last_id=30, previous_id=19))

    assert bench.state(PERP) == "gap"


@pytest.mark.parametrize("leg", LEGS)
def test_old_news_changes_nothing(bench: Bench, leg: str) -> None:
    """u <= local is stale: no level moves and nothing is evaluated."""
    valid(bench, leg)
    handled = bench.engine.on_event(diff(leg, "100 5", "", first_id=9, last_id=10, previous_id=9), bench.offset)

    assert not handled.evaluated
    assert bench.state(leg) == "valid"
    assert bench.engine.pairs["BTC-USDT"].engine.legs[leg].best_bid == 99 * 10**18


def test_a_crossed_or_exhausted_book_is_invalid(bench: Bench) -> None:
    """Best bid at or above best ask, or an empty side, ends a book until the next keyframe."""
    valid(bench, SPOT)
    bench.feed(diff(SPOT, "101 1", "", first_id=11, last_id=11))
    assert bench.state(SPOT) == "crossed"
    bench.feed(diff(SPOT, "101 0", "", first_id=12, last_id=12))
    assert bench.state(SPOT) == "crossed"
    valid(bench, SPOT)
    bench.feed(diff(SPOT, "", "101 0", first_id=11, last_id=11))
    assert bench.state(SPOT) == "exhausted"


def test_generations_and_connections(bench: Bench) -> None:
    """A lower generation is stale, a higher one or another connection resets until a keyframe comes."""
    bench.feed(keyframe(PERP, "99 1", "101 1", gen=5))
    bench.feed(diff(PERP, "", "", first_id=11, last_id=11, previous_id=10, gen=4))
    assert bench.state(PERP) == "valid"
    bench.feed(keyframe(PERP, "1 1", "2 1", gen=4))
    assert bench.state(PERP) == "valid"
    bench.feed(status("alive", PERP, gen=6))
    assert bench.state(PERP) == "reset"
    bench.feed(keyframe(PERP, "99 1", "101 1", gen=5))
    assert bench.state(PERP) == "reset"
    bench.feed(keyframe(PERP, "99 1", "101 1", gen=6))
    assert bench.state(PERP) == "valid"
    bench.feed(diff(PERP, "", "", first_id=11, last_id=11, previous_id=10, conn="other"))
    assert bench.state(PERP) == "reset"
    bench.feed(keyframe(PERP, "99 1", "101 1", conn="other", gen=1))
    assert bench.state(PERP) == "valid"


def test_down_speaks_for_its_own_connection_and_generation(bench: Bench) -> None:
    """Another venue, market, connection or a lower generation may fall without harm."""
    bench.feed(keyframe(PERP, "99 1", "101 1", gen=5))
    for other in (status("down", SPOT, gen=5), status("down", PERP, conn="x", gen=5), status("down", PERP, gen=4)):
        bench.feed(other)
        assert bench.state(PERP) == "valid"
    bench.feed(status("down", PERP, gen=5))
    assert bench.state(PERP) == "disconnected"


def test_silence_suspends_a_book_and_ends_by_itself(bench: Bench) -> None:
    """More than SILENT_AFTER_MS without a record of its connection: silent, until the next one; the book is kept."""
    valid(bench, PERP)
    bench.feed(status("alive", SPOT, conn="other", at_ms=3000))
    assert bench.state(PERP) == "valid"
    bench.feed(status("alive", SPOT, conn="other", at_ms=3001))
    assert bench.state(PERP) == "silent"
    bench.feed(status("alive", PERP, at_ms=3002))
    assert bench.state(PERP) == "valid"


def test_a_late_feed_is_shown_while_it_is_late() -> None:
    """An applied frame handled too long after its exchange time shows as late until one is not."""
    bench = Bench(EconomicSettings(max_feed_lag_ms=500))
    bench.feed(registry(instrument(SPOT)), keyframe(SPOT, "99 1", "101 1"))
    bench.feed(diff(SPOT, "", "", first_id=11, last_id=11, at_ms=1000, exchange_ms=499))
    assert bench.state(SPOT) == "late"
    bench.feed(keyframe(SPOT, "98 1", "101 1", last_id=11, at_ms=1001))
    assert bench.state(SPOT) == "late"
    bench.feed(diff(SPOT, "", "", first_id=12, last_id=12, at_ms=1100, exchange_ms=600))
    assert bench.state(SPOT) == "valid"


def test_delisting_shows_and_the_book_goes_on_underneath(bench: Bench) -> None:
    """Not trading, or no longer listed, shows as delisted; trading again, the book is as its records left it."""
    valid(bench, SPOT)
    for legs in ([instrument(SPOT, status="halted")], [instrument(PERP)]):
        bench.feed(registry(*legs))
        assert bench.state(SPOT) == "delisted"
    bench.feed(diff(SPOT, "99.5 1", "", first_id=11, last_id=11))
    bench.feed(registry(instrument(SPOT)))
    assert bench.state(SPOT) == "valid"


def test_a_keyframe_that_agrees_only_brings_its_range(bench: Bench) -> None:
    """The same sequence, bids and asks: no depth event; one that differs wins and is counted."""
    valid(bench, SPOT)
    book = bench.engine.pairs["BTC-USDT"].engine.legs[SPOT].book
    handled = bench.engine.on_event(keyframe(SPOT, "99 1", "101 1", known=("98", "102"), seq=7), bench.offset)
    assert not handled.evaluated
    assert (book.book.lowest_bid, book.applied_id) == (98 * 10**18, "binance/spot/BTCUSDT/c/1/1")
    bench.offset += 1
    handled = bench.engine.on_event(keyframe(SPOT, "99 2", "101 1", seq=8), bench.offset)
    assert handled.evaluated
    assert book.applied_id == "binance/spot/BTCUSDT/c/1/8"


def test_a_snapshot_frame_always_counts(bench: Bench) -> None:
    """Bybit's own snapshot is a depth event even when it repeats the book."""
    bench.feed(snapshot(BYBIT, "99 1", "101 1"))

    assert bench.engine.on_event(snapshot(BYBIT, "99 1", "101 1"), bench.offset).evaluated


@given(st.integers(0, 2**32), st.sampled_from(LEGS), st.floats(0, 0.3))
def test_a_valid_book_is_the_true_book(seed: int, leg: str, lost: float) -> None:
    """However frames are lost, doubled or swapped: a book that says valid equals the truth at its sequence."""
    rng = random.Random(seed)
    truth: dict[int, tuple[dict, dict]] = {}
    frames, bids, asks, last = [], {99: 1}, {101: 1}, 10
    truth[last] = (dict(bids), dict(asks))
    for _ in range(30):
        side, price = rng.choice([(bids, rng.randint(90, 99)), (asks, rng.randint(101, 110))])
        size = rng.randint(0, 3) if len(side) > 1 else rng.randint(1, 3)
        side.pop(price, None)
        if size:
            side[price] = size
        step = 1 if leg != PERP else rng.randint(1, 4)
        change = f"{price} {size}"
        text = (change, "") if side is bids else ("", change)
        frames.append(
            diff(leg, *text, first_id=last + 1, last_id=last + step, previous_id=last if leg == PERP else None)
        )
        last += step
        truth[last] = (dict(bids), dict(asks))
    frames = [frame for frame in frames if rng.random() >= lost]
    if rng.random() < 0.5 and len(frames) > 3:
        i = rng.randrange(len(frames) - 1)
        frames[i], frames[i + 1] = frames[i + 1], frames[i]
    bench = Bench()
    bench.feed(registry(instrument(leg)), keyframe(leg, "99 1", "101 1", last_id=10))
    for frame in frames:
        bench.feed(frame)
        book = bench.engine.pairs["BTC-USDT"].engine.legs[leg].book
        if book.state == "valid":
            sides = (book.book.bids, book.book.asks)
            shown = tuple({p // 10**18: s // 10**18 for p, s in side.sizes.items()} for side in sides)
            assert shown == truth[book.sequence]
