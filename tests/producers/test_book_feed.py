"""One book from socket to log, where its connection changes while a snapshot is on its way."""

from mts_stream.exchanges.binance import BinanceSpot
from mts_stream.exchanges.venue import BookSnapshot
from tests.producers.fakes import TrueBook
from tests.producers.stand import Stand, binance_message

SPOT = BinanceSpot()


def test_an_answer_to_an_earlier_connections_request_is_left() -> None:
    """It may be from before a restart, with ids that nothing of now ever reaches: then nothing would contradict it."""
    stand, true = Stand(SPOT).open(), TrueBook(SPOT)
    stand.tell(binance_message(true.update([("99", "5")], [])))
    old = BookSnapshot(10**9, [("50", "1")], [("51", "1")])
    (book,) = stand.desk.wanted
    stand.feed.on_close("closed: 1006", stand.now_ns)
    stand.open(gen=2)

    book.on_snapshot(old, b"{}", stand.now_ns)
    assert not book.is_synced
    stand.tell(binance_message(true.update([("99", "6")], [])))
    assert len(stand.desk.wanted) == 2
    book.on_snapshot(true.snapshot(), b"{}", stand.now_ns)
    assert book.is_synced and stand.kinds() == ["frame", "frame", "snapshot", "keyframe"]


def test_a_book_whose_request_is_still_on_an_earlier_way_asks_within_a_second() -> None:
    """The desk asks once for whoever wants the same book, so the first answer may not be the new connection's."""
    stand, true = Stand(SPOT).open(), TrueBook(SPOT)
    stand.tell(binance_message(true.update([("99", "5")], [])))
    stand.feed.on_close("closed: 1006", stand.now_ns)
    stand.desk.is_asking = False
    stand.open(gen=2).tell(binance_message(true.update([("99", "6")], [])))
    book = stand.desk.wanted[-1]

    book.on_snapshot(true.snapshot(), b"{}", stand.now_ns)
    assert not book.is_synced
    stand.desk.is_asking = True
    stand.seconds(1)
    book.on_snapshot(true.snapshot(), b"{}", stand.now_ns)
    assert book.is_synced


def test_a_book_whose_market_has_left_what_is_known_stands_again_when_it_is_back() -> None:
    """What lies beyond is not known, so a fresh snapshot is asked for; if the market comes back first, a keyframe."""
    stand, true = Stand(SPOT).open(), TrueBook(SPOT)
    stand.tell(binance_message(true.update([("99", "5")], [])))
    (book,) = stand.desk.wanted
    book.on_snapshot(true.snapshot(levels=2), b"{}", stand.now_ns)
    stand.tell(binance_message(true.update([], [("101", "0"), ("102", "0"), ("105", "1")])))
    stand.seconds(6)
    assert book.is_synced and book.resyncs == 0 and stand.desk.wanted == [book, book]

    before = len(stand.outlet.envelopes("keyframe"))
    stand.tell(binance_message(true.update([], [("100", "3")])))
    stand.seconds(2)
    keyframes = stand.outlet.envelopes("keyframe")[before:]
    assert [bytes(keyframe.frame).partition(b'"asks":')[2] for keyframe in keyframes] == [b'[["100","3"]]}']
