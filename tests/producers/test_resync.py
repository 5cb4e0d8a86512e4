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
