"""The snapshot scheduler against the simulator: once per book, the highest rank first, again after a failure."""

import asyncio
from typing import Any

import pytest

from mts_stream.exchanges.venue import BookSnapshot
from producers.rest import RestClient
from producers.resync import SnapshotScheduler


class Book:
    """A book that keeps what it is given."""

    def __init__(self, symbol: str, order: list[str]) -> None:
        self.symbol, self.order = symbol, order
        self.got: list[BookSnapshot] = []

    def on_snapshot(self, snapshot: BookSnapshot, body: bytes, now_ns: int) -> None:
        """Keep it."""
        assert b"lastUpdateId" in body and now_ns == 5
        self.got.append(snapshot)
        self.order.append(self.symbol)


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


def count_requests(client: RestClient, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The symbols that are asked for from now on; the requests go out as ever."""
    asked: list[str] = []
    get_with_body = client.get_with_body

    async def counted(request: Any, parse: Any) -> Any:
        asked.append(dict(request.params)["symbol"])
        return await get_with_body(request, parse)

    monkeypatch.setattr(client, "get_with_body", counted)
    return asked
