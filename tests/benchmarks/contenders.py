"""`python -m tests.benchmarks.contenders ours|bare`: recorded frames from sockets into Kafka, once, as one JSON line.

`ours` is what a producer process makes of a venue's connection: Connection, Feed, books, RecordWriter, Publisher.
`bare` is the least that moves the same frames: websockets and confluent-kafka, no record of what arrived or when.
CPU time is the whole process's, librdkafka's threads included, from the first frame played to the last one confirmed.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import cycle
from typing import Any

import orjson
import uvloop
from confluent_kafka import Producer
from websockets.asyncio.client import ClientConnection, connect

from mts_stream.settings import Settings, load_settings
from mts_stream.wire.kafka import producer_config
from producers.book_feed import BookFeed
from producers.clock import SlewedClock
from producers.connection import MESSAGE_BYTES_MAX, Connection
from producers.feeds import Feed
from producers.pacing import AttemptPace
from producers.publisher import QUEUE_KIB_MAX, Publisher
from producers.records import RecordWriter
from tests.benchmarks.memory import peak_memory_mb
from tests.benchmarks.player import PLAY
from tests.benchmarks.recorded_streams import Book, books, symbols

BARE_TOPIC = "bench.bare"
PLAY_MESSAGE = orjson.dumps(PLAY)
POLL_S = 0.005
READ_QUEUE_FRAMES = 1024
GIVE_UP_S = 120.0

Play = Callable[[], Awaitable[None]]


async def ours(settings: Settings, url: str, count: int, frames: int) -> dict[str, Any]:
    """The producer's own parts, put together as service.py does."""
    clock, publisher = SlewedClock(), Publisher(settings)
    feeds: list[Feed] = []
    links: list[Connection] = []
    for book in books():
        writer = RecordWriter(
            publisher, book.conn, book.market.venue, book.market.market, "depth", settings.partitions
        )  # fmt: skip
        feed = Feed(
            book.market, book.route, writer, publisher, symbols(count), _Desk(book, clock), settings.keyframe_interval_s
        )
        feeds.append(feed)
        links.append(Connection(book.conn, f"{url}/{book.conn}", feed, clock, 1000, AttemptPace("player", 100, 1.0)))
    working = [asyncio.create_task(work) for work in (publisher.run(), *(link.run() for link in links))]
    await _until(lambda: all(book.is_synced for feed in feeds for book in feed.books.values()))
    await _until(lambda: not publisher.queued_records)

    peak_queue = 0

    def is_handed_over(before: int) -> bool:
        nonlocal peak_queue
        peak_queue = max(peak_queue, publisher.queued_records)
        return publisher.handed_over["frame"] - before >= frames

    async def play() -> None:
        before = publisher.handed_over["frame"]
        for link in links:
            link.send(PLAY_MESSAGE)
        await _until(lambda: is_handed_over(before))
        await _until(lambda: not publisher.queued_records)

    result = await _measured(play, frames)
    result |= {"lost": publisher.lost}
    result["resyncs"] = sum(book.resyncs for feed in feeds for book in feed.books.values())
    result |= {"peak_queue": peak_queue, "peak_rss_mb": peak_memory_mb()}
    for task in working:
        task.cancel()
    await asyncio.wait(working)
    return result


class _Desk:
    """Answers with the recorded snapshot at once."""

    is_short = False

    def __init__(self, book: Book, clock: SlewedClock) -> None:
        self._book, self._clock = book, clock

    def request(self, book: BookFeed) -> None:
        """Answer in the next turn of the loop, as REST never does at once."""
        book.keep_frames(True)
        body = self._book.snapshot
        snapshot = self._book.market.parse_snapshot(body)
        asyncio.get_running_loop().call_soon(lambda: book.on_snapshot(snapshot, body, self._clock.now_ns()))


async def bare(settings: Settings, url: str, count: int, frames: int) -> dict[str, Any]:
    """`async for message in ws: produce(topic, message, key)`; the keys in turn, to fill as many partitions."""
    limits = {
        "queue.buffering.max.messages": settings.producer_queue_records,
        "queue.buffering.max.kbytes": QUEUE_KIB_MAX,
    }
    producer = Producer(producer_config(settings, **limits), logger=None)
    sent = 0

    async def read(ws: ClientConnection, keys: "cycle[str]") -> None:
        nonlocal sent
        produce, topic = producer.produce, BARE_TOPIC
        async for message in ws:
            produce(topic, message, next(keys))
            sent += 1

    async def poll() -> None:
        while True:
            producer.poll(0)
            await asyncio.sleep(0.01)

    async with _sockets(url) as sockets:
        working = [asyncio.create_task(read(ws, cycle(symbols(count).values()))) for ws in sockets]
        working.append(asyncio.create_task(poll()))
        for ws in sockets:
            await ws.send(b'{"op":"open"}', text=True)
        opening = count * len(sockets)
        await _until(lambda: sent >= opening and not len(producer))

        async def play() -> None:
            for ws in sockets:
                await ws.send(PLAY_MESSAGE, text=True)
            await _until(lambda: sent >= opening + frames)
            await _until(lambda: not len(producer))

        result = await _measured(play, frames)
        for task in working:
            task.cancel()
        await asyncio.wait(working)
    return result | {"lost": 0}


@asynccontextmanager
async def _sockets(url: str) -> Any:
    sockets = [
        await connect(
            f"{url}/{book.conn}", compression=None, max_size=MESSAGE_BYTES_MAX, max_queue=READ_QUEUE_FRAMES,
            ping_interval=None, proxy=None,
        )
        for book in books()
    ]  # fmt: skip
    try:
        yield sockets
    finally:
        await asyncio.gather(*(ws.close() for ws in sockets))


async def _measured(play: Play, frames: int) -> dict[str, Any]:
    wall_s, cpu_s, thread_s = time.perf_counter(), time.process_time(), time.thread_time()
    await play()
    return {
        "frames": frames,
        "wall_s": time.perf_counter() - wall_s,
        "cpu_s": time.process_time() - cpu_s,
        "loop_thread_s": time.thread_time() - thread_s,
    }


async def _until(is_true: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + GIVE_UP_S
    while not is_true():
        if time.monotonic() > give_up_s:
            raise TimeoutError("the frames did not arrive")
        await asyncio.sleep(POLL_S)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("contender", choices=["ours", "bare"])
    parser.add_argument("--url", required=True)
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--symbols", type=int, required=True)
    parser.add_argument("--frames", type=int, required=True)
    options = parser.parse_args()
    run = {"ours": ours, "bare": bare}[options.contender]
    made = load_settings(kafka_bootstrap_servers=options.kafka)
    outcome = uvloop.run(run(made, options.url, options.symbols, options.frames))
    sys.stdout.write(orjson.dumps(outcome).decode() + "\n")
