"""The snapshot scheduler against the simulator: once per book, the highest rank first, again after a failure."""

import asyncio
import time
from typing import Any

import pytest

from mts_stream.exchanges.venue import BookSnapshot, RequestLimit
from producers.budget import WeightBudget
from producers.rest import RestClient
from producers.resync import SnapshotScheduler


class Book:
    """A book that keeps what it is given."""

    def __init__(self, symbol: str, order: list[str]) -> None:
        self.symbol, self.order = symbol, order
        self.got: list[BookSnapshot] = []
        self.is_synced, self.awaits_snapshot, self.keeps = False, True, False
        self.is_narrow, self.asks_again = False, 0

    def keep_frames(self, wanted: bool) -> None:
        """Remember it."""
        self.keeps = wanted

    def ask_again(self) -> None:
        """Count it."""
        self.asks_again += 1

    def on_snapshot(self, snapshot: BookSnapshot, body: bytes, now_ns: int) -> None:
        """Keep it."""
        assert b"lastUpdateId" in body and now_ns == 5 and self.keeps
        self.got.append(snapshot)
        self.order.append(self.symbol)
        self.is_synced = True


async def until(condition: Any, seconds: float = 15.0) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_books_are_served_once_and_by_rank(clients: list[RestClient], monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking twice while it is on its way is asking once."""
    monkeypatch.setattr("producers.resync.REQUESTS_AT_ONCE", 1)
    scheduler = SnapshotScheduler(clients[1], {"BTCUSDT": 0, "ETHUSDT": 1}, lambda: 5)
    order: list[str] = []
    books: list[Any] = [Book(symbol, order) for symbol in ("XRPUSDT", "ETHUSDT", "BTCUSDT")]
    for book in (*books, *books):
        scheduler.request(book)
    assert scheduler.waiting == 3
    running = asyncio.create_task(scheduler.run())
    await until(lambda: scheduler.waiting == 0)
    assert order == ["BTCUSDT", "ETHUSDT", "XRPUSDT"]
    books[0].is_synced = False
    scheduler.request(books[0])
    await until(lambda: len(books[0].got) == 2)
    running.cancel()
    assert books[2].got[0].bids


async def test_a_failed_request_is_tried_again(clients: list[RestClient]) -> None:
    """Until the venue answers."""
    good, clients[1].base_url = clients[1].base_url, "http://127.0.0.1:1"
    scheduler = SnapshotScheduler(clients[1], {}, lambda: 5)
    book: Any = Book("BTCUSDT", [])
    scheduler.request(book)
    running = asyncio.create_task(scheduler.run())
    await asyncio.sleep(0.05)
    assert not book.got and scheduler.waiting == 1
    clients[1].base_url = good
    await until(lambda: book.got)
    running.cancel()


async def test_a_book_that_fails_waits_ever_longer_and_holds_no_other_back(
    clients: list[RestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown symbol is asked for a few times, not as fast as it is refused; its neighbour has its book at once."""
    asked = count_requests(clients[1], monkeypatch)
    scheduler = SnapshotScheduler(clients[1], {}, lambda: 5)
    wrong: Any = Book("NOPEUSDT", [])
    right: Any = Book("BTCUSDT", [])
    scheduler.request(wrong)
    scheduler.request(right)
    running = asyncio.create_task(scheduler.run())
    await until(lambda: right.got)
    await until(lambda: asked.count("NOPEUSDT") >= 3)
    await asyncio.sleep(1.0)
    running.cancel()
    assert asked.count("NOPEUSDT") <= 12 and scheduler.waiting == 1


async def test_an_answer_goes_to_the_connection_that_asked_last(clients: list[RestClient]) -> None:
    """While a connection is changed two have the same book; the one that is left needs it no more."""
    scheduler = SnapshotScheduler(clients[1], {}, lambda: 5)
    left, new = (Book("BTCUSDT", []) for _ in range(2))
    books: list[Any] = [left, new]
    for book in books:
        scheduler.request(book)
    running = asyncio.create_task(scheduler.run())
    await until(lambda: new.got)
    running.cancel()
    assert not left.got and scheduler.waiting == 0


def count_requests(client: RestClient, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The symbols that are asked for from now on; the requests go out as ever."""
    asked: list[str] = []
    get_with_body = client.get_with_body

    async def counted(request: Any, parse: Any) -> Any:
        asked.append(dict(request.params)["symbol"])
        return await get_with_body(request, parse)

    monkeypatch.setattr(client, "get_with_body", counted)
    return asked


def budgeted(client: RestClient, weight: int) -> RestClient:
    """The client with so much weight in every 0.3 s."""
    client.budget = WeightBudget(RequestLimit(weight * 100, 0.3), 0.01)
    return client


async def test_a_storm_asks_for_fewer_levels_and_is_widened_behind(
    clients: list[RestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven books at weight 20 would take four windows of 40; at 5 they go in one, then each gets its 1000 levels."""
    monkeypatch.setattr("producers.resync.ROOM_POLL_S", 0.05)
    scheduler = SnapshotScheduler(budgeted(clients[1], 40), {}, lambda: 5)
    books: list[Any] = [
        Book(f"{name}USDT", []) for name in ("BTC", "ETH", "SOL", "1000PEPE", "1000SHIB", "XRP", "DOGE")
    ]
    for book in books:
        scheduler.request(book)
    running = asyncio.create_task(scheduler.run())
    await until(lambda: scheduler.waiting == 0)
    assert [len(book.got) for book in books] == [1] * 7
    assert all(len(book.got[0].bids) == 100 for book in books)
    await until(lambda: scheduler.widening == 0, 30)
    running.cancel()
    assert all(len(book.got[1].bids) > 100 for book in books)


async def test_a_calm_market_asks_for_everything(clients: list[RestClient]) -> None:
    """One book gets all levels at once, and needs no widening."""
    scheduler = SnapshotScheduler(budgeted(clients[1], 40), {}, lambda: 5)
    book: Any = Book("BTCUSDT", [])
    scheduler.request(book)
    running = asyncio.create_task(scheduler.run())
    await until(lambda: book.got)
    running.cancel()
    assert len(book.got[0].bids) > 100 and scheduler.widening == 0


async def test_books_that_stand_leave_half_of_the_budget(clients: list[RestClient]) -> None:
    """A refresh waits while less is left; a lost book does not."""
    client = budgeted(clients[1], 100)
    client.budget.window_s = 600.0
    client.budget.spend(time.time(), 45)
    scheduler = SnapshotScheduler(client, {}, lambda: 5)
    standing: Any = Book("BTCUSDT", [])
    lost: Any = Book("ETHUSDT", [])
    standing.is_synced = True
    running = asyncio.create_task(scheduler.run())
    scheduler.request(standing)
    scheduler.request(lost)
    await until(lambda: lost.got)
    await asyncio.sleep(0.1)
    running.cancel()
    assert not standing.got and scheduler.widening == 1


async def test_a_book_that_needs_none_any_more_costs_nothing(
    clients: list[RestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection was lost while it waited: the next one asks anew."""
    asked = count_requests(clients[1], monkeypatch)
    scheduler = SnapshotScheduler(clients[1], {}, lambda: 5)
    gone: Any = Book("BTCUSDT", [])
    gone.awaits_snapshot = False
    scheduler.request(gone)
    running = asyncio.create_task(scheduler.run())
    await until(lambda: scheduler.waiting == 0)
    running.cancel()
    assert not asked and not gone.got


async def test_the_desk_is_short_where_the_weight_that_is_left_does_not_serve_all(clients: list[RestClient]) -> None:
    """At weight 20 two books use up a minute of 40; so does a venue that wants to be left alone."""
    client = budgeted(clients[1], 40)
    scheduler = SnapshotScheduler(client, {}, lambda: 5)
    assert not scheduler.is_short
    for symbol in ("BTCUSDT", "ETHUSDT"):
        book: Any = Book(symbol, [])
        scheduler.request(book)
    assert scheduler.is_short

    calm = SnapshotScheduler(client, {}, lambda: 5)
    client.budget.pause(time.time(), 1.0)
    assert calm.is_short


async def test_a_book_that_stands_on_its_top_is_widened_however_it_came_to_stand(clients: list[RestClient]) -> None:
    """Before its request went out, or while the answer, too old for it by then, was on its way."""
    scheduler = SnapshotScheduler(clients[1], {}, lambda: 5)
    before, meanwhile = (Book(symbol, []) for symbol in ("BTCUSDT", "ETHUSDT"))
    before.awaits_snapshot = False
    books: list[Any] = [before, meanwhile]
    for book in books:
        book.is_narrow = True
        scheduler.request(book)
    before.is_synced = True
    running = asyncio.create_task(scheduler.run())
    await until(lambda: before.got and len(meanwhile.got) == 2)
    running.cancel()


async def test_a_book_hears_that_its_request_failed(clients: list[RestClient]) -> None:
    """It may have another way."""
    clients[1].base_url = "http://127.0.0.1:1"
    scheduler = SnapshotScheduler(clients[1], {}, lambda: 5)
    book: Any = Book("BTCUSDT", [])
    scheduler.request(book)
    running = asyncio.create_task(scheduler.run())
    await until(lambda: book.asks_again)
    running.cancel()
