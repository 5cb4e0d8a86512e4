"""One run: simulated venues, real sockets, the real producers, and the real engine fed with all that they publish."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count

from mts_stream.domain.engine import PartitionEngine
from mts_stream.errors import BadRecordError
from mts_stream.settings import Settings, load_settings
from mts_stream.wire.codec import decode_record
from mts_stream.wire.topics import DEAD_LETTERS, RAW
from producers.service import ProducerService
from producers.simulator.settings import SimulatorSettings
from producers.simulator.simulator import Simulator
from tests.simulation.witness import Witness

POLL_S = 0.02
END_S = 10.0
KEYFRAME_S = 5
REGISTRY_S = 5
"""Both shorter than in production, so that a run of some seconds has several of each."""

STARVED = 10
"""How much slower than the clock the market may go where other programs take the machine."""

FEED_LAG_MS_MAX = 2000
"""As in demo and compose."""


class EngineSink:
    """Takes the producers' records in place of Kafka and hands those of the raw log to the engine, in order."""

    queued_records = 0
    stalled_s = 0.0
    lost = 0

    def __init__(self, engine: PartitionEngine, witness: Witness, offsets: Iterator[int]) -> None:
        self.confirmed: Counter[str] = Counter()
        self.has_room = True
        self.is_cut = False
        self._engine, self._witness, self._offsets = engine, witness, offsets

    def send(self, topic: str, key: bytes, value: bytes, kind: str, partition: int = -1, *, must: bool = False) -> bool:
        """Take a record, if there is room; nothing comes through any more when it is cut."""
        if self.is_cut:
            return True
        if not self.has_room and not must:
            return False
        self.confirmed[kind] += 1
        if topic == RAW:
            self._handle(value)
        elif topic == DEAD_LETTERS:
            self._witness.dead.append(value.decode())
        return True

    def _handle(self, value: bytes) -> None:
        try:
            event = decode_record(value)
            self._witness.before_record(event)
            handled = self._engine.on_event(event, next(self._offsets))
        except BadRecordError as error:
            self._witness.dead.append(str(error))
            return
        self._witness.after_record(event, handled)

    def count(self) -> None:
        """There are no metrics of it."""

    async def run(self) -> None:
        """Nothing has to be served."""
        await asyncio.Event().wait()

    async def flush(self, timeout_s: float) -> int:
        """Everything was handled when it came."""
        return 0


class Run:
    """What a scenario acts on; one engine, and producers that may be killed and started anew."""

    def __init__(self, simulator: Simulator, witness: Witness, engine: PartitionEngine, config: Settings) -> None:
        self.simulator, self.witness = simulator, witness
        self._engine, self._config, self._offsets = engine, config, count(1)
        self.start()

    def start(self) -> None:
        """Start producers."""
        self.sink = EngineSink(self._engine, self.witness, self._offsets)
        service = self.witness.service = ProducerService(self._config, publisher=self.sink)
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(service.run(self._stop))

    async def kill(self) -> None:
        """End the producers as a killed process: not a word more."""
        self.sink.is_cut = True
        await self.stop()

    async def stop(self) -> None:
        """End the producers."""
        self._stop.set()
        await asyncio.wait_for(self._task, END_S)

    async def until(self, condition: Callable[[], object], within_s: float, what: Callable[[], object]) -> float:
        """Wait for a condition and say how long it took; AssertionError with `what` if it does not come in time.

        All in the market's time; a market that stands still fails too.
        """
        loop = asyncio.get_running_loop()
        began_s, give_up_s = self.witness.now_s, loop.time() + STARVED * within_s
        while not condition():
            if self._task.done():
                self._task.result()
                raise AssertionError("the producers ended by themselves")
            is_late = self.witness.now_s - began_s > within_s or loop.time() > give_up_s
            assert not is_late, f"not within {within_s} s: {what()}"
            await asyncio.sleep(POLL_S)
        return self.witness.now_s - began_s

    async def let_pass(self, seconds: float) -> None:
        """Wait for so long, in the market's time."""
        end_s = self.witness.now_s + seconds
        await self.until(lambda: self.witness.now_s >= end_s, 2 * seconds, lambda: "the market stood still")

    async def until_valid(self, within_s: float) -> float:
        """Wait until every book is valid or delisted, and say how long that took."""
        return await self.until(lambda: not self.witness.not_valid(), within_s, self.witness.not_valid)


@asynccontextmanager
async def running(settings: SimulatorSettings) -> AsyncIterator[Run]:
    """A run of these venues; at its end everything is closed in bounded time."""
    simulator = Simulator(settings, on_step=lambda now_ns: witness.on_step())
    async with simulator:
        urls = {name.lower(): url for name, url in simulator.urls.items()}
        config = load_settings(
            **urls, partitions=1, keyframe_interval_s=KEYFRAME_S, registry_interval_s=REGISTRY_S,
            max_feed_lag_ms=FEED_LAG_MS_MAX,
        )  # fmt: skip
        engine = PartitionEngine(config.economics())
        witness = Witness(simulator, engine)
        run = Run(simulator, witness, engine, config)
        try:
            yield run
        finally:
            await run.stop()
