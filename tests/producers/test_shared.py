"""What a whole producer process tells of its connections: clocks, budgets, queues and books of its own."""

import asyncio

from mts_stream.settings import load_settings
from mts_stream.wire.results import ConnectionQuality, parse_quality
from mts_stream.wire.topics import QUALITY
from producers.service import ProducerService
from producers.simulator.settings import SimulatorSettings
from producers.simulator.simulator import Simulator
from tests.producers.fakes import MemorySink

PAIRS = 2
SKEW_MS = -1300


def told(sink: MemorySink) -> list[ConnectionQuality]:
    """The quality of all connections, in order."""
    messages = [parse_quality(value) for topic, _, value, _, _ in sink.sent if topic == QUALITY]
    return [message for message in messages if isinstance(message, ConnectionQuality)]


def is_whole(message: ConnectionQuality) -> bool:
    """A second in which all books stood and a clock was known."""
    return message.frames > 0 and message.valid_percent in ("100", None) and message.clock_offset_ms is not None


async def test_a_skewed_exchange_is_told_as_such() -> None:
    """Its latencies are off by the skew and the corrected ones are not; the other exchange's clock has no offset."""
    async with Simulator(SimulatorSettings(pairs=PAIRS, seed=3)) as simulator:
        simulator.inject("clock_skew", "binance", skew_s=SKEW_MS / 1000, duration_s=60)
        settings = load_settings(
            **{name.lower(): url for name, url in simulator.urls.items()}, pairs_top=PAIRS, partitions=2
        )
        sink, stop = MemorySink(), asyncio.Event()
        service = ProducerService(settings, publisher=sink)
        task = asyncio.create_task(service.run(stop))
        async with asyncio.timeout(30):
            while not task.done() and len({m.subject for m in told(sink) if is_whole(m)}) < 5:
                await asyncio.sleep(0.1)
        stop.set()
        await asyncio.wait_for(task, 10)
    last = {message.subject: message for message in told(sink) if is_whole(message)}

    assert set(last) == set(service.connections)
    for message in last.values():
        expected_ms = SKEW_MS if message.venue == "binance" else 0
        offset_ms, error_ms = float(message.clock_offset_ms or "nan"), float(message.clock_offset_error_ms or "nan")
        raw_ms = float(message.latency_p50_ms or "nan")
        assert abs(offset_ms - expected_ms) <= error_ms < 500
        assert abs(float(message.latency_corrected_p50_ms or "nan") - (raw_ms + offset_ms)) < 0.01
        assert -error_ms <= float(message.latency_corrected_p50_ms or "nan") < 500
        assert message.books == message.books_synced == (0 if "market" in message.subject else PAIRS)
        assert message.rest_weight_spent and message.rest_weight_budget
        # known until the venue's minute is over, and again from the next answer on
        of_it = [each.rest_weight_reported for each in told(sink) if each.subject == message.subject]
        assert (set(of_it) == {None}) == (message.venue == "bybit")
        assert message.queued_snapshots == 0
        assert message.frames == sum(message.frames_by_channel.values())
    seconds = [(message.subject, message.window_start_ns) for message in told(sink)]
    assert len(seconds) == len(set(seconds))
    assert all(at_ns % 1_000_000_000 == 0 for _, at_ns in seconds)
