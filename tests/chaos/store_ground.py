"""A broker, a ClickHouse and a sink of a run's own, results on their way without end, and what a seed does to them."""

import asyncio
import json
import os
import queue
import random
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from confluent_kafka import Producer

from mts_stream.local.broker import KafkaBroker
from mts_stream.local.clickhouse import ClickHouseGateway
from mts_stream.settings import Settings, load_settings
from mts_stream.wire import topics
from mts_stream.wire.kafka import create_topics, producer_config
from tests.chaos.disturbances import Deck
from tests.integration.sink_parts import SinkProcess, caught_up, stored, until
from tests.sinks import messages
from tests.sinks.messages import Sent

ACTIONS = (
    "rebalance", "kill both", "newer producer", "kill broker", "freeze gateway", "kill sink", "repeat", "kill gateway",
)  # fmt: skip
LONG = "CHAOS_DISTURBANCES" in os.environ
FROZEN_S, TIMEOUT_S = (30.0, 10) if LONG else (4.0, 2)  # an insert is given up before the gateway goes on
MOVES_WITHIN_S = 60.0
AGES_MS = (500, 20)  # nearly always something is held, or is on its way
REPEATS = 500
CHUNK, PAUSE_S = 50, 0.1
CONFIRMED_WITHIN_S = 60.0
STAYS_FULL_S = 1.0
BALLAST_BYTES, FILL_EVERY_S = 65_536, 0.1
MEMORY_BYTES = 600_000_000
# What a newer producer may say: another JSON type, and numbers beyond what the column holds.
NEWER = (
    (topics.SPREADS, messages.windows()[0] | {"valid_ms": "900"}, "bad_message"),
    (topics.SPREADS, messages.windows()[0] | {"valid_ms": 2**40}, "store_refused"),
    (topics.FUNDING, messages.funding_change() | {"rate": 0.0001}, "bad_message"),
    (topics.SIGNALS, messages.of_type("arbitrage.opened") | {"event": 2**40}, "store_refused"),
    (topics.QUALITY, messages.book_quality() | {"window_ms": 2**40}, "store_refused"),
)


class Stream:
    """Results going to their topics in the background until told to stop; each is kept until Kafka has it."""

    def __init__(self, settings: Settings, results: Iterator[Sent]) -> None:
        self.sent: list[Sent] = []
        self._producer = Producer(producer_config(settings, **{"message.timeout.ms": 0}))
        self._results = results
        self._besides: queue.SimpleQueue[Sent] = queue.SimpleQueue()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Stream":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def also(self, results: Iterable[Sent]) -> None:
        """Send these too, between the others."""
        for each in results:
            self._besides.put(each)

    def stop(self) -> None:
        """Return when Kafka has everything."""
        self.__exit__()
        assert self._producer.flush(CONFIRMED_WITHIN_S) == 0, "Kafka has not confirmed everything"

    def _run(self) -> None:
        while not self._end.wait(PAUSE_S):
            for _ in range(CHUNK):
                self.sent.append(next(self._results))
                self._send(self.sent[-1])
                if not self._besides.empty():
                    self._send(self._besides.get())
            self._producer.poll(0)
        while not self._besides.empty():
            self._send(self._besides.get())

    def _send(self, result: Sent) -> None:
        topic, key, value = result
        self._producer.produce(topic, value, key)


class Ground:
    """Everything of one run; `disturb` does what the seed says, `refused` are the values that no table takes."""

    def __init__(self, broker: KafkaBroker, folder: Path, seed: int) -> None:
        self.refused: dict[bytes, str] = {}
        self._random = random.Random(seed)
        self._deck = Deck(ACTIONS, self._random)
        self._age_ms = AGES_MS[seed % len(AGES_MS)]
        self._broker, self._folder = broker, folder
        self._gateway = ClickHouseGateway(
            folder / "tables", log_path=folder / "clickhouse.log", memory_bytes=MEMORY_BYTES
        )
        self.settings = load_settings(
            kafka_bootstrap_servers=broker.address, clickhouse_url=self._gateway.url, partitions=4
        )
        self._stored = 0
        self._stack = ExitStack()

    def __enter__(self) -> "Ground":
        with ExitStack() as stack:
            self._runner = stack.enter_context(asyncio.Runner())
            for part in (self._broker, self._gateway):
                self._start(part)
                stack.callback(lambda part=part: self._runner.run(part.stop()))
            create_topics(self.settings)
            stack.callback(lambda: self._sink.__exit__())
            self._start_sink()
            self._stream = stack.enter_context(Stream(self.settings, messages.without_end()))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def disturb(self) -> str:
        """Wait until rows are stored, then do what the seed says; gives what it was."""
        self._until_it_moves()
        time.sleep(self._random.uniform(0.0, 0.6))  # at any point of a batch
        action = self._deck.draw()
        getattr(self, "_" + action.replace(" ", "_"))()
        return action

    def fill_disk(self) -> str:
        """Take all room from the tables' disk until the sink has said for a while why it waits; gives what it says."""
        self._until_it_moves()
        ballast = self._folder / "tables" / "ballast"
        try:
            reason: str = until("the sink says why it waits", lambda: _fill(ballast) or self._no_space())
            ends = time.monotonic() + STAYS_FULL_S
            while time.monotonic() < ends:
                _fill(ballast)
                assert self._sink.process.poll() is None, f"the sink ended by itself:\n{self._sink.log()[-3000:]}"
        finally:
            ballast.unlink(missing_ok=True)
        return reason

    def finish(self) -> None:
        """Return when everything sent is committed, and the sink has ended as it should."""
        self._until_it_moves()
        self._stream.stop()
        until("all is committed", lambda: caught_up(self.settings), 2 * MOVES_WITHIN_S)
        code, _ = self._sink.stop()
        assert code == 0, f"the sink ended with {code}:\n{self._sink.log()[-3000:]}"

    def logs(self) -> str:
        """The last lines of every sink that ever ran, and of ClickHouse."""
        paths = [*sorted(self._folder.glob("sink-*.log")), self._folder / "clickhouse.log"]
        return "\n\n".join(f"== {path.name}\n{path.read_text()[-3000:]}" for path in paths)

    def _kill_sink(self) -> None:
        self._sink.kill()
        self._start_sink()

    def _kill_gateway(self) -> None:
        self._kill(self._gateway)
        self._start(self._gateway)

    def _kill_both(self) -> None:
        """The sink first, or ClickHouse: either may have been in the middle of an insert."""
        first, second = self._random.sample((self._sink.kill, lambda: self._kill(self._gateway)), 2)
        first()
        time.sleep(self._random.uniform(0.0, 1.0))
        second()
        self._start(self._gateway)
        self._start_sink()

    def _kill_broker(self) -> None:
        """Its data stays, and what it had not confirmed is sent again."""
        self._kill(self._broker)
        self._start(self._broker)

    def _freeze_gateway(self) -> None:
        """An insert may be stored long after the sink has given it up, or after its repetition."""
        pid = self._gateway.process.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(FROZEN_S)
        finally:
            os.kill(pid, signal.SIGCONT)

    def _rebalance(self) -> None:
        """A second sink takes half of the partitions, and gives them back."""
        with self._new_sink("second") as second:
            until("the second sink has partitions", lambda: second.health()[0] == 200)
            self._until_it_moves()
            code, _ = second.stop()
        assert code == 0, f"the second sink ended with {code}:\n{second.log()[-3000:]}"

    def _repeat(self) -> None:
        """Some of what was sent is sent again, in another order."""
        sent = list(self._stream.sent)
        self._stream.also(self._random.sample(sent, min(REPEATS, len(sent))))

    def _newer_producer(self) -> None:
        """Values that no table takes, between others of the same partition."""
        poison = self._random.choices(NEWER, k=2 * len(NEWER))
        for topic, message, reason in poison:
            value = json.dumps(message | {"pair": "NEW-USDT"}).encode()
            self.refused[value] = reason
            self._stream.also([(topic, b"BTC-USDT", value)])

    def _no_space(self) -> str:
        status, reason = self._sink.health()
        return reason if status == 503 and "space" in reason else ""

    def _until_it_moves(self) -> None:
        until("rows are stored", self._moves, MOVES_WITHIN_S)

    def _moves(self) -> bool:
        code = self._sink.process.poll()
        assert code is None, f"the sink ended by itself with {code}:\n{self._sink.log()[-3000:]}"
        before, now = self._stored, sum(stored(self.settings).values())
        self._stored = max(before, now)
        return now > before

    def _start_sink(self) -> None:
        self._sink = self._new_sink("data")
        until("the sink is healthy", lambda: self._sink.health()[0] == 200 or self._sink.process.poll() is not None)

    def _new_sink(self, data: str) -> SinkProcess:
        return SinkProcess(
            self.settings, self._folder, SINK_DATA_DIR=str(self._folder / data), CLICKHOUSE_TIMEOUT_S=str(TIMEOUT_S),
            SINK_BATCH_AGE_MS=str(self._age_ms),
        )  # fmt: skip

    def _start(self, part: KafkaBroker | ClickHouseGateway) -> None:
        self._runner.run(part.start())

    def _kill(self, part: KafkaBroker | ClickHouseGateway) -> None:
        os.kill(part.process.pid, signal.SIGKILL)
        self._runner.run(part.stop())


def _fill(ballast: Path) -> None:
    """Write until nothing more goes in: what merges gave back, too."""
    with ballast.open("ab", buffering=0) as file, suppress(OSError):
        while file.write(bytes(BALLAST_BYTES)) == BALLAST_BYTES:
            continue
    time.sleep(FILL_EVERY_S)
