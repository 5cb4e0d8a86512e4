"""Books that stand on the top of their book from the socket, while REST has no weight for them."""

import msgspec
import pytest

from mts_stream.exchanges.venue import BookSnapshot
from producers.connection import WATCHES_A_TICK
from producers.seeding import SEED_NS_MAX
from tests.producers.fakes import S, TrueBook, in_stream
from tests.producers.stand import PERP, SPOT, Stand, binance_message

TOP = "btcusdt@depth20@100ms"


def tell_update(stand: Stand, true: TrueBook, size: str) -> None:
    """The best bid changes."""
    stand.tell(in_stream("perp", bytes(true.update([("99", size)], []).frame)))


def short_stand() -> tuple[Stand, TrueBook]:
    """A feed of USD-M whose one book is lost while the desk has no weight left; its top is subscribed to."""
    stand, true = Stand(PERP), TrueBook(PERP)
    stand.desk.is_short = True
    tell_update(stand.open(), true, "5")
    watch(stand)
    return stand, true


def watch(stand: Stand, seconds: float = 1 / WATCHES_A_TICK) -> None:
    """A part of a second passes."""
    stand.now_ns += int(seconds * S)
    stand.feed.on_pong(stand.now_ns, stand.now_ns)
    stand.feed.on_watch(stand.now_ns)


def asked(stand: Stand) -> list[tuple[str, list[str]]]:
    """What the feed asked of the venue after its first request."""
    return [(message["method"], message["params"]) for message in stand.link.messages[1:]]


def test_a_lost_book_stands_on_its_top_and_then_waits_among_those_that_stand() -> None:
    """Subscribed, joined to the frames kept meanwhile, unsubscribed; the log has the top as `snapshot`, not `frame`."""
    stand, true = short_stand()
    book = stand.feed.books["BTCUSDT"]
    assert asked(stand) == [("SUBSCRIBE", [TOP])] and not stand.desk.wanted
    at = true.last_id
    tell_update(stand, true, "6")
    stand.tell(true.top(at, levels=2))
    watch(stand)

    assert book.is_synced and book.is_narrow and stand.desk.wanted == [book]
    assert stand.kinds() == ["frame", "frame", "snapshot", "keyframe"]
    keyframe = stand.outlet.envelopes("keyframe")[0]
    assert keyframe.range == ("98", "102") and msgspec.json.decode(keyframe.frame)["lastUpdateId"] == true.last_id
    assert asked(stand)[1:] == [("UNSUBSCRIBE", [TOP])]
    stand.seconds(1)
    assert stand.feed.subscriptions.doubted == 0 and stand.feed.seeding.books == 0


def test_rest_widens_a_book_that_stands_on_its_top() -> None:
    """Then it is as any other, and a top that comes late changes nothing."""
    stand, true = short_stand()
    stand.tell(true.top(levels=2))
    (book,) = stand.desk.wanted
    book.on_snapshot(true.snapshot(), b"{}", stand.now_ns)
    assert not book.is_narrow and stand.outlet.envelopes("keyframe")[-1].range == ("90", "102")
    before = stand.kinds()
    stand.tell(true.top(levels=1))
    assert stand.kinds() == before and len(book.book.levels()[0]) == 3


def test_a_top_from_before_the_frames_is_left_and_the_next_one_taken() -> None:
    """It would leave a hole; the next comes 100 ms later."""
    stand, true = short_stand()
    book = stand.feed.books["BTCUSDT"]
    true.history[50] = true.history[100]
    stand.tell(true.top(50))
    assert not book.is_synced
    tell_update(stand, true, "6")
    stand.tell(true.top())
    assert book.is_synced and stand.kinds().count("snapshot") == 2


@pytest.mark.parametrize("side", ["bids", "asks"])
def test_a_top_without_a_side_is_no_book(side: str) -> None:
    """There would be no known range, and what lies beyond 20 levels of the other side is not known."""
    stand, true = short_stand()
    (true.history[true.last_id][0] if side == "bids" else true.history[true.last_id][1]).clear()
    stand.tell(true.top())
    assert not stand.feed.books["BTCUSDT"].is_synced and stand.kinds() == ["frame"]


def test_levels_that_cannot_be_read_are_no_book() -> None:
    """As with any other snapshot."""
    stand, true = short_stand()
    stand.tell(true.top().replace(b'"99"', b'"-9"'))
    assert not stand.feed.books["BTCUSDT"].is_synced and stand.feed.books["BTCUSDT"].resyncs == 1
    stand.tell(true.top())
    assert stand.feed.books["BTCUSDT"].is_synced


def test_a_top_that_does_not_come_is_asked_of_rest_too() -> None:
    """A book that does not move has none on the socket; whichever comes first is taken."""
    stand, true = short_stand()
    watch(stand, SEED_NS_MAX / S - 0.01 - 1 / WATCHES_A_TICK)
    assert not stand.desk.wanted
    watch(stand)
    watch(stand)
    (book,) = stand.desk.wanted
    stand.tell(true.top())
    assert book.is_synced and stand.desk.wanted == [book, book]


def test_what_is_known_of_a_top_is_renewed_from_the_next_while_rest_is_short() -> None:
    """The market leaves 20 levels soon: at half of them the book asks, and has them without a moment of silence."""
    stand, true = short_stand()
    stand.tell(true.top(levels=2))
    watch(stand)
    tell_update(stand, true, "0")
    true.sides[0]["89"] = "1"
    stand.seconds(2)
    tell_update(stand, true, "0")
    stand.tell(true.top())
    assert stand.outlet.envelopes("keyframe")[-1].range == ("89", "102")
    assert stand.feed.books["BTCUSDT"].resyncs == 0


def test_a_top_that_the_market_has_left_makes_room_for_the_next_at_once() -> None:
    """An empty side of 20 levels says that too little was known, not that nobody offers."""
    stand, true = short_stand()
    stand.tell(true.top(levels=1))
    tell_update(stand, true, "0")
    stand.seconds(2)
    book = stand.feed.books["BTCUSDT"]
    assert not book.is_synced and book.resyncs == 1
    stand.tell(true.top())
    assert book.is_synced


def test_one_lost_book_is_asked_of_rest() -> None:
    """While there is weight; spot and Bybit never have a top."""
    stand, true = Stand(PERP), TrueBook(PERP)
    tell_update(stand.open(), true, "5")
    watch(stand)
    assert len(stand.desk.wanted) == 1 and not asked(stand)

    spot, true = Stand(SPOT).open(), TrueBook(SPOT)
    spot.desk.is_short = True
    spot.tell(binance_message(true.update([("99", "5")], [])))
    watch(spot)
    assert len(spot.desk.wanted) == 1 and not asked(spot)


def test_a_request_that_fails_makes_room_for_the_top() -> None:
    """REST refuses everybody for a while: the book asks again within a second, and the desk is short by then."""
    stand, true = Stand(PERP), TrueBook(PERP)
    tell_update(stand.open(), true, "5")
    (book,) = stand.desk.wanted
    stand.desk.is_short = True
    book.ask_again()
    stand.seconds(2)
    stand.tell(true.top())
    assert book.is_synced and book.is_narrow


def test_streams_of_tops_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many at once; the next ones when these are done, and none beyond what the venue allows on a connection."""
    monkeypatch.setattr("producers.seeding.SEEDS_AT_ONCE", 2)
    names = [f"C{n}USDT" for n in range(3)]
    stand, true = Stand(PERP, pairs={name: f"{name[:2]}-USDT" for name in names}), TrueBook(PERP)
    stand.desk.is_short = True
    stand.open()
    frame = in_stream("perp", bytes(true.update([("99", "5")], []).frame))
    for name in names:
        stand.tell(frame.replace(b"BTCUSDT", name.encode()))
    watch(stand)
    assert asked(stand) == [("SUBSCRIBE", ["c0usdt@depth20@100ms", "c1usdt@depth20@100ms"])]
    stand.tell(true.top().replace(b"BTCUSDT", b"C1USDT"))
    watch(stand)
    assert asked(stand)[1:] == [
        ("UNSUBSCRIBE", ["c1usdt@depth20@100ms"]),
        ("SUBSCRIBE", ["c2usdt@depth20@100ms"]),
    ]


def test_a_connection_that_is_full_has_no_room_for_tops() -> None:
    """Its books ask REST when they have waited."""
    pairs = {f"C{n}USDT": f"C{n}-USDT" for n in range(1024)}
    stand, true = Stand(PERP, pairs=pairs), TrueBook(PERP)
    stand.desk.is_short = True
    stand.open()
    stand.tell(in_stream("perp", bytes(true.update([("99", "5")], []).frame)).replace(b"BTCUSDT", b"C7USDT"))
    watch(stand)
    assert stand.feed.seeding.books == 1 and all("depth20" not in str(m) for m in stand.link.messages)
    watch(stand, SEED_NS_MAX / S)
    assert [book.symbol for book in stand.desk.wanted] == ["C7USDT"]


def test_a_lost_connection_forgets_who_waits_and_an_old_answer_stays_an_old_one() -> None:
    """A REST answer to the connection before may be from before a restart: a top that is awaited asks for none."""
    stand, true = short_stand()
    stand.feed.on_close("closed: 1006", stand.now_ns)
    assert stand.feed.seeding.books == 0
    stand.open(gen=2)
    tell_update(stand, true, "6")
    watch(stand)
    book = stand.feed.books["BTCUSDT"]
    book.on_snapshot(BookSnapshot(10**9, [("50", "1")], [("51", "1")]), b"{}", stand.now_ns)
    assert not book.is_synced
    watch(stand)
    tell_update(stand, true, "7")
    stand.tell(true.top())
    assert book.is_synced


def test_a_symbol_that_is_left_ends_its_top() -> None:
    """Nobody waits for it any more."""
    stand, true = short_stand()
    stand.feed.follow(set())
    watch(stand)
    assert asked(stand)[-1] == ("UNSUBSCRIBE", [TOP])
    stand.tell(true.top())
    assert stand.kinds() == ["frame"]


def test_an_heir_goes_on_with_a_narrow_book_and_asks_for_more() -> None:
    """Whoever waited for more at the old connection's desk does not speak any more."""
    stand, true = short_stand()
    stand.tell(true.top(levels=2))
    old = stand.feed
    heir = Stand(PERP)
    heir.feed = old.heir(heir.writer)
    heir.feed.on_open(heir.link, 9, stand.now_ns)
    heir.desk = stand.desk
    frame = in_stream("perp", bytes(true.update([("99", "8")], []).frame))
    stand.tell(frame)
    heir.tell(frame)
    heir.tell(in_stream("perp", bytes(true.update([("99", "9")], []).frame)))
    book = heir.feed.books["BTCUSDT"]
    assert book.is_synced and book.is_narrow and not book.is_silent
    watch(heir)
    assert ("SUBSCRIBE", [TOP]) in asked(heir)
