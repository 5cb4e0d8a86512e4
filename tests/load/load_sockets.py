"""800 books from sockets to a real broker, and the simulator's markets at their own rate: `make load`.

The sockets of 800 books are the benchmark's player: recorded frames as fast as the producer reads them, so the rate is
what two cores carry with player, producer and broker on them. The simulator lists 50 pairs, 200 books, at most.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from mts_stream.settings import load_settings
from mts_stream.wire.kafka import create_topics
from producers.service import ProducerService
from producers.simulator.universe import PAIRS_MAX
from tests.load.order import check_order, ends

SYMBOLS, FRAMES_PER_BOOK = 200, 250
MARKETS = 4
TURN_TIMEOUT_S = 180
SIMULATED_S = 30.0
SYNCED_TIMEOUT_S = 60.0


@pytest.fixture
def player() -> Iterator[str]:
    """The address of a server that plays 800 books."""
    options = [f"--symbols={SYMBOLS}", f"--frames-per-book={FRAMES_PER_BOOK}"]
    yield from _serving([sys.executable, "-m", "tests.benchmarks.player", *options])


@pytest.fixture
def simulator() -> Iterator[str]:
    """The addresses of the simulator, in a process of its own."""
    yield from _serving([sys.executable, "-m", "producers", "simulate", f"--pairs={PAIRS_MAX}", "--json"])


def _serving(command: list[str]) -> Iterator[str]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline()
        process.terminate()


@pytest.mark.timeout(2 * TURN_TIMEOUT_S)
def test_800_books_at_the_speed_of_their_sockets(kafka: str, player: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every frame of 800 books is in the log, in order, and no book fell out of step."""
    settings = load_settings(kafka_bootstrap_servers=kafka)
    create_topics(settings)
    begins = ends(settings)
    books, frames = SYMBOLS * MARKETS, SYMBOLS * MARKETS * (FRAMES_PER_BOOK - 1)
    command = [
        sys.executable, "-m", "tests.benchmarks.contenders", "ours", f"--kafka={kafka}", f"--symbols={SYMBOLS}",
        f"--url=ws://127.0.0.1:{json.loads(player)['port']}", f"--frames={frames}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=TURN_TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])

    assert (result["lost"], result["resyncs"]) == (0, 0)
    assert check_order(settings, begins)["frame"] == frames + books
    with capsys.disabled():
        print(f"\n{books} books, sockets as fast as they are read, player, producer and broker on this machine")
        print(f"  frames, all in the log and in order              {frames:>12,}")
        print(f"  frames a second                                  {frames / result['wall_s']:>12,.0f}")
        print(f"  producer, share of a core                        {result['cpu_s'] / result['wall_s']:>12.2f}")
        print(f"  peak queue, records                              {result['peak_queue']:>12,}")
        print(f"  peak memory of the producer, MB                  {result['peak_rss_mb']:>12,.0f}")


@pytest.mark.timeout(TURN_TIMEOUT_S)
async def test_all_simulated_books(kafka: str, simulator: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole producer on every market of the simulator, REST and registry included: nothing lost, all in order."""
    addresses = {name.lower(): url for name, url in json.loads(simulator).items() if name != "SIMULATOR_CONTROL_URL"}
    settings = load_settings(kafka_bootstrap_servers=kafka, pairs_top=PAIRS_MAX, **addresses)
    create_topics(settings)
    begins = ends(settings)
    service, stop = ProducerService(settings), asyncio.Event()
    running = asyncio.create_task(service.run(stop))
    began_s = time.monotonic()
    async with asyncio.timeout(SYNCED_TIMEOUT_S):
        while not _books(service) or not all(book.is_synced for book in _books(service)):
            await asyncio.sleep(0.05)
    synced_s, before, cpu_s = time.monotonic() - began_s, service.publisher.confirmed["frame"], time.process_time()
    peak_queue = 0
    for _ in range(int(SIMULATED_S / 0.1)):
        peak_queue = max(peak_queue, service.publisher.queued_records)
        await asyncio.sleep(0.1)
    frames = service.publisher.confirmed["frame"] - before
    cpu_s, resyncs = time.process_time() - cpu_s, sum(book.resyncs for book in _books(service))
    stop.set()
    await running

    assert (service.publisher.lost, service.unconfirmed, resyncs) == (0, 0, 0)
    kinds = await asyncio.to_thread(check_order, settings, begins)
    assert kinds["frame"] == service.publisher.confirmed["frame"]
    with capsys.disabled():
        print(f"\n{len(_books(service))} simulated books for {SIMULATED_S:.0f} s")
        print(f"  all books in step after, s                       {synced_s:>12.1f}")
        print(f"  frames a second                                  {frames / SIMULATED_S:>12,.0f}")
        print(f"  producer, share of a core                        {cpu_s / SIMULATED_S:>12.2f}")
        print(f"  peak queue, records                              {peak_queue:>12,}")
        print(
            f"  memory of producer and test, MB                  {psutil.Process().memory_info().rss / 2**20:>12,.0f}"
        )


def _books(service: ProducerService) -> list[Any]:
    return [book for feed in service.feeds.values() for book in feed.books.values()]
