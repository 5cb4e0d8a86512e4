"""The producer's book against the venue's true one: whenever it claims to be in step, it is."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.exchanges.binance import BinancePerp, BinanceSpot
from mts_stream.exchanges.bybit import BybitPerp
from mts_stream.exchanges.venue import BookSnapshot, VenueMarket
from producers.books import BUFFERED_FRAMES_MAX, ProducerBook
from tests.producers.fakes import TrueBook, bybit_frame, depth_frame

SPOT, PERP, BYBIT = BinanceSpot(), BinancePerp(), BybitPerp()
REST_MARKETS = pytest.mark.parametrize("market", [SPOT, PERP], ids=["spot", "perp"])


def within_range(book: ProducerBook, true: TrueBook, low: float, high: float) -> tuple[Any, Any]:
    """Our levels and the true ones at our id, both cut to the known range."""

    def cut(sides: tuple[dict[str, str], dict[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
        bids, asks = sides
        return (
            {price: size for price, size in bids.items() if float(price) >= low},
            {price: size for price, size in asks.items() if float(price) <= high},
        )

    return cut(book.levels()), cut(true.history[book.last_id])


@REST_MARKETS
def test_frames_before_the_snapshot_are_merged_with_it(market: VenueMarket) -> None:
    """The keyframe stands at the last frame of the log, not at the snapshot."""
    true, book = TrueBook(market), ProducerBook(market, "BTCUSDT")
    book.on_frame(true.update([("99", "5")], []))
    at = true.last_id
    book.on_frame(true.update([("97", "3")], [("101", "0")], step=4))

    assert book.on_snapshot(true.snapshot(at)) and book.is_synced
    keyframe = book.keyframe()
    assert keyframe.last_id == true.last_id
    frame = msgspec.json.decode(keyframe.frame)
    assert frame["bids"] == [["99", "5"], ["98", "2"], ["97", "3"], ["90", "9"]]
    assert frame["asks"] == [["102", "2"]]
    assert keyframe.known_range == ("90", "102")


@REST_MARKETS
def test_a_later_snapshot_makes_the_keyframe_later_than_the_log(market: VenueMarket) -> None:
    """Frames that the snapshot holds already are stale, the next one follows it."""
    true, book = TrueBook(market), ProducerBook(market, "BTCUSDT")
    book.on_frame(true.update([("99", "5")], []))
    late = true.update([("98", "0")], [])
    assert book.on_snapshot(true.snapshot())
    assert book.keyframe().last_id == true.last_id

    assert book.on_frame(late) == "stale"
    assert book.on_frame(true.update([], [("101", "3")])) == "applied"
    assert book.levels() == true.sides


@REST_MARKETS
def test_a_snapshot_from_before_the_first_frame_does_not_join(market: VenueMarket) -> None:
    """It is refused, the frames stay, and a newer one joins them."""
    true, book = TrueBook(market), ProducerBook(market, "BTCUSDT")
    old = true.snapshot()
    true.update([("99", "5")], [])
    book.on_frame(true.update([("99", "6")], []))

    assert not book.on_snapshot(old) and not book.is_synced
    assert book.buffered_frames == 1
    assert book.on_snapshot(true.snapshot()) and book.levels() == true.sides


def test_spot_joins_at_the_very_next_id() -> None:
    """The recorded off-by-one: the snapshot's id is the u of a buffered event, the next U is one above."""
    true, book = TrueBook(SPOT), ProducerBook(SPOT, "BTCUSDT")
    book.on_frame(true.update([("99", "5")], [], step=3))
    at = true.last_id
    book.on_frame(true.update([("99", "6")], []))

    assert book.on_snapshot(true.snapshot(at)) and book.levels() == true.sides


@REST_MARKETS
def test_a_lost_frame_is_a_gap_and_a_snapshot_heals_it(market: VenueMarket) -> None:
    """The frame after the hole waits in the buffer for the snapshot."""
    true, book = TrueBook(market), ProducerBook(market, "BTCUSDT")
    book.on_frame(true.update([("99", "5")], []))
    book.on_snapshot(true.snapshot())
    true.update([("98", "7")], [])
    assert book.on_frame(true.update([("98", "8")], [])) == "gap"

    assert not book.is_synced
    with pytest.raises(ValueError, match="not synchronised"):
        book.keyframe()
    at = true.last_id
    assert book.on_frame(true.update([("98", "9")], [])) == "buffered"
    assert book.on_snapshot(true.snapshot(at)) and book.levels() == true.sides


def test_a_hole_in_the_buffer_needs_a_snapshot_from_behind_it() -> None:
    """Frames before the hole are given up."""
    true, book = TrueBook(PERP), ProducerBook(PERP, "BTCUSDT")
    book.on_frame(true.update([("99", "5")], []))
    before = true.snapshot()
    true.update([("98", "7")], [])
    book.on_frame(true.update([("98", "8")], []))

    assert not book.on_snapshot(before)
    assert book.buffered_frames == 1
    assert book.on_snapshot(true.snapshot())


@REST_MARKETS
@given(data=st.data())
def test_a_book_joins_another_connections_only_where_the_frames_follow(
    market: VenueMarket, data: st.DataObject
) -> None:
    """Two connections see the same frames at their own pace, the second from some frame on: it is the true book."""
    true, old, new = TrueBook(market), ProducerBook(market, "BTCUSDT"), ProducerBook(market, "BTCUSDT")
    sizes = st.sampled_from(["0", "1", "5"])
    levels = st.lists(st.tuples(st.sampled_from(["96", "97", "98", "99"]), sizes), max_size=3)
    frames = [true.update(data.draw(levels), [], data.draw(st.integers(2, 4))) for _ in range(12)]
    old.on_frame(frames[0])
    assert old.on_snapshot(true.snapshot(frames[0].last_id))
    seen = data.draw(st.integers(1, 12), "frames that the old connection has seen")
    first, last = sorted((data.draw(st.integers(0, 12), "from"), data.draw(st.integers(0, 12), "to")))
    for frame in frames[1:seen]:
        old.on_frame(frame)
    for frame in frames[first:last]:
        new.on_frame(frame)

    has_hole = first < last and first > seen
    assert new.join(old) is not has_hole
    for frame in frames[max(first, last) :] if first < last or first <= seen else ():
        assert has_hole or new.on_frame(frame) in ("applied", "stale")
    if not has_hole and first <= seen:
        assert new.last_id == true.last_id and new.levels() == true.sides
    assert has_hole or new.keyframe().known_range == ("90", "102")


def test_a_joined_book_knows_no_more_than_the_one_it_came_from() -> None:
    """The range is that of the snapshot long ago, whatever levels are left; and what stands is not joined again."""
    true, old, new = TrueBook(SPOT), ProducerBook(SPOT, "BTCUSDT"), ProducerBook(SPOT, "BTCUSDT")
    assert not new.join(old)
    old.on_frame(true.update([("99", "5")], []))
    old.on_snapshot(true.snapshot())
    old.on_frame(true.update([("90", "0")], [("102", "0")]))
    new.on_frame(true.update([("98", "3")], []))

    assert new.join(old) and not new.join(old)
    assert new.keyframe().known_range == ("90", "102")
    assert new.health().range_used == old.health().range_used
    old.on_frame(true.update([("99", "0")], []))
    assert new.levels()[0]["99"] == "5"


def test_bybit_stands_from_its_snapshot_on() -> None:
    """A snapshot replaces whenever it comes; deltas before the first say nothing; a keyframe reads as a snapshot."""
    true, book = TrueBook(BYBIT), ProducerBook(BYBIT, "BTCUSDT")
    assert book.on_frame(true.update([("99", "5")], [])) == "buffered"
    assert book.buffered_frames == 0
    assert book.on_frame(true.snapshot_frame()) == "replaced"
    assert book.on_frame(true.update([], [("101", "0")])) == "applied"

    keyframe = book.keyframe()
    again = depth_frame(BYBIT, keyframe.frame)
    assert (again.last_id, again.replaces, again.exchange_ms, again.engine_ms) == (true.last_id, True, 1000, 999)
    assert keyframe.known_range is None and book.levels() == true.sides
    true.update([], [("102", "1")])
    assert book.on_frame(true.update([], [("102", "2")])) == "gap"


@REST_MARKETS
def test_a_fresh_snapshot_widens_a_synced_book(market: VenueMarket) -> None:
    """Frames that come while it is awaited are kept to be joined to it; one that does not fit changes nothing."""
    true, book = TrueBook(market), ProducerBook(market, "BTCUSDT")
    book.on_frame(true.update([("99", "5")], []))
    book.on_snapshot(true.snapshot(levels=2))
    assert book.keyframe().known_range == ("98", "102")
    old = true.snapshot()
    book.on_frame(true.update([("99", "6")], []))
    assert not book.on_snapshot(old) and book.is_synced

    book.keep_frames(True)
    at = true.last_id
    book.on_frame(true.update([("97", "7")], []))
    assert book.on_snapshot(true.snapshot(at))
    assert book.keyframe().known_range == ("90", "102")
    assert book.levels() == true.sides


def test_levels_outside_the_range_are_never_shown() -> None:
    """What the snapshot did not cover is half known."""
    true, book = TrueBook(SPOT), ProducerBook(SPOT, "BTCUSDT")
    book.on_frame(true.update([("99", "5")], []))
    book.on_snapshot(true.snapshot(levels=2))
    book.on_frame(true.update([("50", "1")], [("150", "1")]))

    frame = msgspec.json.decode(book.keyframe().frame)
    assert [price for price, _ in frame["bids"]] == ["99", "98"]
    assert [price for price, _ in frame["asks"]] == ["101", "102"]


def test_the_range_is_used_up_as_the_market_moves() -> None:
    """Half of a side's reach gone is half used; a side that is gone is all of it."""
    book = ProducerBook(SPOT, "BTCUSDT")
    book.on_snapshot(BookSnapshot(100, [("100", "1"), ("80", "1")], [("101", "1"), ("141", "1")]))
    assert book.health().range_used == 0
    true = TrueBook(SPOT, sides=({"100": "1", "80": "1"}, {"101": "1", "141": "1"}))
    book.on_frame(true.update([("100", "0"), ("90", "1")], []))
    assert book.health().range_used == 0.5
    book.on_frame(true.update([("90", "0"), ("80", "0")], []))
    health = book.health()
    assert health.is_empty_side and health.range_used == 1


def test_a_crossed_book_is_seen() -> None:
    """Best bid at or above best ask."""
    true, book = TrueBook(BYBIT), ProducerBook(BYBIT, "BTCUSDT")
    book.on_frame(true.snapshot_frame())
    assert not book.health().is_crossed
    book.on_frame(true.update([("101", "1")], []))
    assert book.health().is_crossed and book.health().range_used == 0


@pytest.mark.parametrize("levels", [[["-1", "1"]], [["NaN", "1"]], [["99", 1]], [["99"]], {}])
def test_impossible_levels_end_the_claim(levels: Any) -> None:
    """What the worker would refuse is no base for a keyframe."""
    book = ProducerBook(BYBIT, "BTCUSDT")
    book.on_frame(TrueBook(BYBIT).snapshot_frame())
    with pytest.raises(ValueError):
        book.on_frame(depth_frame(BYBIT, bybit_frame("delta", 101, levels, [])))
    assert not book.is_synced


def test_memory_is_bounded() -> None:
    """Frames that wait for a snapshot are limited."""
    true, book = TrueBook(PERP), ProducerBook(PERP, "BTCUSDT")
    for _ in range(BUFFERED_FRAMES_MAX + 10):
        book.on_frame(true.update([("99", "1")], []))
    assert book.buffered_frames == BUFFERED_FRAMES_MAX
    assert book.on_snapshot(true.snapshot()) and book.buffered_frames == 0


prices = st.integers(85, 115).map(str)
sizes = st.sampled_from(["0", "1", "2.5", "0.000"])
faults = st.sampled_from(["none", "none", "none", "none", "lose", "double", "swap", "snapshot", "stale snapshot"])


@REST_MARKETS
@given(data=st.data())
def test_a_synced_book_is_true_at_its_id(market: VenueMarket, data: st.DataObject) -> None:
    """Lost, doubled and reordered frames, snapshots of any age: synced means equal within the known range."""
    true, book = TrueBook(market), ProducerBook(market, "BTCUSDT")
    known = (float("-inf"), float("inf"))
    held: list[Any] = []
    for _ in range(data.draw(st.integers(1, 40))):
        fault = data.draw(faults)
        if "snapshot" in fault:
            levels = data.draw(st.integers(1, 20))
            at = data.draw(st.sampled_from(sorted(true.history))) if fault.startswith("stale") else true.last_id
            snapshot = true.snapshot(at, levels)
            if snapshot.bids and snapshot.asks and book.on_snapshot(snapshot):
                known = (float(snapshot.bids[-1][0]), float(snapshot.asks[-1][0]))
        else:
            levels_of = st.lists(st.tuples(prices, sizes), max_size=3)
            bids, asks = ([(p, "0" if not s.strip("0.") else s) for p, s in data.draw(levels_of)] for _ in "ba")
            frame = true.update(bids, asks, data.draw(st.integers(1, 5)))
            frames = {"lose": [], "double": [frame, frame], "swap": []}.get(fault, [frame, *held])
            held = [frame] if fault == "swap" else []
            for each in frames:
                book.on_frame(each)
        if book.is_synced:
            ours, truth = within_range(book, true, *known)
            assert ours == truth


def test_u_1_of_bybit_replaces_the_book() -> None:
    """A service that began anew is followed from there, without a gap."""
    true, book = TrueBook(BYBIT), ProducerBook(BYBIT, "BTCUSDT")
    book.on_frame(true.snapshot_frame())
    fresh = depth_frame(BYBIT, bybit_frame("delta", 1, [["50", "1"]], [["51", "1"]]))

    assert book.on_frame(fresh) == "replaced"
    assert (book.is_synced, book.last_id, book.levels()) == (True, 1, ({"50": "1"}, {"51": "1"}))
    assert book.on_frame(depth_frame(BYBIT, bybit_frame("delta", 2, [["50", "2"]], []))) == "applied"


@pytest.mark.parametrize("price", ["0", "0.00", "1.2.3", ".", "", "0.1234567890123456789", "9" * 60])
def test_no_keyframe_holds_a_price_that_the_engine_would_refuse(price: str) -> None:
    """The book is void instead: a keyframe that is a dead letter would leave the engine without one for ever."""
    true, book = TrueBook(BYBIT), ProducerBook(BYBIT, "BTCUSDT")
    book.on_frame(true.snapshot_frame())
    with pytest.raises(ValueError):
        book.on_frame(depth_frame(BYBIT, bybit_frame("delta", 101, [[price, "1"]], [])))
    assert not book.is_synced


def test_a_rest_snapshot_with_such_a_price_is_none() -> None:
    """It is refused before anything of it stands."""
    true, book = TrueBook(SPOT), ProducerBook(SPOT, "BTCUSDT")
    book.on_frame(true.update([("99", "5")], []))

    with pytest.raises(ValueError):
        book.on_snapshot(BookSnapshot(true.last_id, [("0", "1")], [("101", "1")]))
    assert not book.is_synced and book.buffered_frames == 1


@pytest.mark.parametrize("size", ["9" * 400, "1.2.3", "."])
def test_a_whole_book_with_a_size_that_cannot_be_is_none(size: str) -> None:
    """The venue's own snapshot, or `u` 1, with a number that the engine would refuse: none at all."""
    book = ProducerBook(BYBIT, "BTCUSDT")

    with pytest.raises(ValueError):
        book.on_frame(depth_frame(BYBIT, bybit_frame("snapshot", 5, [["99", "1"]], [["101", size]])))
    assert not book.is_synced


def test_frames_that_cannot_be_read_do_not_join_another_connections_book() -> None:
    """What they would have changed is not known."""
    true, old, new = TrueBook(SPOT), ProducerBook(SPOT, "BTCUSDT"), ProducerBook(SPOT, "BTCUSDT")
    old.on_frame(true.update([("99", "5")], []))
    old.on_snapshot(true.snapshot())
    new.on_frame(true.update([("98", "9" * 400)], []))

    with pytest.raises(ValueError):
        new.join(old)
    assert not new.is_synced and old.is_synced
