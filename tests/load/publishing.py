"""`python -m tests.load.publishing`: recorded frames into Kafka at a rate, by the producers' own Publisher.

Open loop: what is due is sent, late or not, and nothing is skipped; only where the publisher has no room, as a
connection would be held back, does the schedule wait, and the JSON line that it prints says for how long.
"""

import argparse
import asyncio
import gzip
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import orjson
import uvloop

from mts_stream.errors import BadRecordError
from mts_stream.settings import load_settings
from mts_stream.wire.envelope import decode_envelope
from producers.clock import SlewedClock
from producers.publisher import Publisher
from producers.records import RecordWriter
from tests.benchmarks.memory import peak_memory_mb

CAPTURE = Path(__file__).parents[1] / "data" / "conformance" / "btc.jsonl.gz"
PAIRS = 200
TICK_S = 0.002
FLUSH_S = 60.0

Leg = tuple[str, str]
Write = Callable[[int, bytes], None]


def recorded() -> list[tuple[Leg, bytes]]:
    """The capture's depth frames in their order, each with its venue and market."""
    frames = []
    with gzip.open(CAPTURE) as file:
        for line in file:
            try:
                envelope = decode_envelope(line.rstrip())
            except BadRecordError:
                continue
            if (envelope.channel, envelope.kind) == ("depth", "frame"):
                frames.append(((envelope.venue, envelope.market), bytes(envelope.frame)))
    return frames


def connections(publisher: Publisher, legs: set[Leg], partitions: int) -> dict[Leg, list[Write]]:
    """One open connection per leg, and its way for each pair's frames."""
    made = {}
    for venue, market in sorted(legs):
        writer = RecordWriter(publisher, f"{venue}-{market}-load", venue, market, "depth", partitions)
        writer.open(time.time_ns() // 1_000_000)
        made[venue, market] = [writer.frames("depth", f"P{n:03d}USDT", f"P{n:03d}-USDT") for n in range(PAIRS)]
    return made


def schedule(publisher: Publisher, partitions: int) -> Iterator[tuple[Write, bytes]]:
    """Record after record: each frame of the capture for every pair, then the next frame, without an end."""
    frames = recorded()
    ways = connections(publisher, {leg for leg, _ in frames}, partitions)
    for leg, frame in cycle(frames):
        for write in ways[leg]:
            yield write, frame


async def wait_for_room(publisher: Publisher) -> float:
    """How long it took, in seconds."""
    began_s = time.perf_counter()
    while not publisher.has_room:
        await asyncio.sleep(TICK_S)
    return time.perf_counter() - began_s


async def publish(kafka: str, rate: int, seconds: float) -> dict[str, Any]:
    """Send `rate` records a second for so long, and wait until all are confirmed."""
    settings = load_settings(kafka_bootstrap_servers=kafka)
    publisher, clock = Publisher(settings), SlewedClock()
    serving = asyncio.create_task(publisher.run())
    records = schedule(publisher, settings.partitions)
    total, sent, peak_queue, held_back_s = int(rate * seconds), 0, 0, 0.0
    cpu_s, began_s = time.process_time(), time.perf_counter()
    while sent < total:
        due = min(total, int((time.perf_counter() - began_s - held_back_s) * rate)) - sent
        for write, frame in islice(records, due):
            write(clock.now_ns(), frame)
        sent += due
        peak_queue = max(peak_queue, publisher.queued_records)
        await asyncio.sleep(TICK_S)
        if not publisher.has_room:
            held_back_s += await wait_for_room(publisher)
    sending_s = time.perf_counter() - began_s
    unconfirmed = await publisher.flush(FLUSH_S)
    serving.cancel()
    return {
        "sent": sent,
        "confirmed": publisher.confirmed["frame"],
        "lost": publisher.lost,
        "unconfirmed": unconfirmed,
        "records_per_s": sent / sending_s,
        "held_back_s": held_back_s,
        "last_confirmed_after_s": time.perf_counter() - began_s - sending_s,
        "peak_queue": peak_queue,
        "peak_rss_mb": peak_memory_mb(),
        "cpu_share": (time.process_time() - cpu_s) / (time.perf_counter() - began_s),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    line = uvloop.run(publish(options.kafka, options.rate, options.seconds))
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
