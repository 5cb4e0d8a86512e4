"""Hand-written stand-ins around the agents: an app whose Kafka is in memory, and an engine that counts."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from faust.types import TP

from mts_stream.domain.engine import ClockState, Handled, Progress
from mts_stream.domain.market_data import ConnectionStatus, MarketEvent
from mts_stream.domain.messages import FundingChange
from mts_stream.errors import BadRecordError
from mts_stream.wire import topics
from mts_stream.wire.envelope import encode_envelope


class FakeProducer:
    """Takes records and confirms them at once, or when told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes | None, bytes, int]] = []
        self.unconfirmed: list[Callable[[Any, Any], None]] = []
        self.told: list[tuple[Callable[[Any, Any], None], str | None]] = []
        self.confirms = True
        self.refuses_at_once = False
        self.polls = 0

    def produce(self, topic: str, *, value: Any, key: Any, partition: int, on_delivery: Any, headers: Any) -> None:
        if self.refuses_at_once:
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        self.sent.append((topic, key, value, partition))
        self.unconfirmed.append(on_delivery)
        if self.confirms:
            self.confirm()

    def poll(self, timeout: float) -> int:
        self.polls += 1
        told, self.told = self.told, []
        for on_delivery, error in told:
            on_delivery(error, None)
        return len(told)

    def confirm(self, count: int | None = None) -> None:
        self.told += [(on_delivery, None) for on_delivery in self.unconfirmed[:count]]
        del self.unconfirmed[:count]

    def refuse(self) -> None:
        self.told.append((self.unconfirmed.pop(0), "message too large"))


class FakeTable:
    """Keeps what is written to the changelog, in order."""

    def __init__(self, diary: list[str]) -> None:
        self.written: list[tuple[int, bytes, bytes]] = []
        self._diary = diary

    def send_changelog(self, partition: int, key: bytes, value: bytes) -> Any:
        self.written.append((partition, key, value))
        self._diary.append(f"changelog {key.decode()}")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future


class FakeConsumer:
    """Its group takes every commit, unless it has moved on."""

    def __init__(self, diary: list[str]) -> None:
        self.first_offsets: dict[TP, int] = {}
        self.returns: dict[TP, int] = {}
        self.assigned: set[TP] = {TP(topics.RAW, p) for p in range(4)}
        self.committed: dict[TP, int] = {}
        self.moved_on = False
        self.ends: dict[TP, int] = {}
        self._committed_offset: dict[TP, int | None] = defaultdict(lambda: None)
        self._diary = diary

    def assignment(self) -> set[TP]:
        return self.assigned

    def highwater(self, tp: TP) -> int | None:
        return self.ends.get(tp)

    async def _commit(self, offsets: dict[TP, int]) -> bool:
        if self.moved_on:
            return False
        self.committed.update(offsets)
        self._diary.extend(f"commit {tp.partition} {offset}" for tp, offset in offsets.items())
        return True


@dataclass
class FakeApp:
    """What the agents ask of a Faust app."""

    diary: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.producer = FakeProducer()
        self.consumer = FakeConsumer(self.diary)
        self.table = FakeTable(self.diary)
        self.batched_topics = frozenset({topics.RAW})
        self.health = SimpleNamespace(handled=lambda tp, offset: None)
        self.started, self.should_stop, self.rebalancing, self.in_recovery = True, False, False, False
        self.consumer_generation_id = 1
        self.rebalancing_count = 1
        self.tables = SimpleNamespace(recovery=SimpleNamespace(active_offsets={}))

    @asynccontextmanager
    async def bugs_end_it(self) -> AsyncIterator[None]:
        yield


@dataclass
class CountingPair(Progress):
    """A pair that counts its records."""

    count: int = 0


class CountingEngine:
    """Counts the records of each pair; each one leads to one funding change that says how many there were."""

    def __init__(self) -> None:
        self.pairs: dict[str, CountingPair] = {}
        self.clock = ClockState()
        self.open_opportunities = 0
        self.owing: dict[str, object] = {}

    def settle(self, name: str) -> Handled:
        raise AssertionError(f"{name} owes nothing")

    def on_event(self, event: MarketEvent, offset: int, *, owe: bool = False) -> Handled:
        if isinstance(event, ConnectionStatus):
            return Handled(skipped=not self.clock.take(offset))
        origin = event.origin
        if origin.pair == "BAD-USDT":
            raise BadRecordError("unknown_instrument", origin.pair)
        if origin.pair == "BUG-USDT":
            raise ZeroDivisionError("a bug")
        pair = self.pairs.setdefault(origin.pair, CountingPair())
        if not pair.take(offset):
            return Handled(skipped=True)
        pair.count += 1
        said = FundingChange(str(pair.count), origin.pair, "binance", "perp", "S", origin.received_ns, "0", None, None)
        return Handled([said], evaluated=True)

    def snapshot(self, key: str) -> bytes:
        state = self.clock if key == "@" else self.pairs[key]
        return json.dumps([state.offset, getattr(state, "count", 0)]).encode()

    def restore(self, key: str, data: bytes) -> None:
        offset, count = json.loads(data)
        if offset < 0:
            raise ValueError("an offset below zero")
        if key == "@":
            self.clock = ClockState(offset)
        else:
            self.pairs[key] = CountingPair(offset, None, count)


def raw(pair: str = "AAA-USDT", seq: int = 1, kind: str = "snapshot") -> bytes:
    """A raw record that every decoder takes: an audit record of a pair, or a status."""
    frame = b'{"state":"alive"}' if kind == "status" else b"{}"
    return encode_envelope(
        venue="binance", market="perp", channel="depth", kind=kind, symbol="S", pair="" if kind == "status" else pair,
        received_ns=10**18 + seq, conn="c", gen=1, seq=seq, frame=frame,
    )  # fmt: skip


def records(first: int, *values: bytes) -> list[tuple[int, bytes | None, bytes | None, int]]:
    """A batch of raw records from an offset on."""
    return [(first + i, value) for i, value in enumerate(values)]
