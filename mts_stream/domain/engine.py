"""The engine: the raw log of one partition in, results out; the same log always gives the same results.

    PartitionEngine          hands each record to its pair, a connection's status to the pairs that it concerns
      └─ PairEngine          event time, legs, directions of one pair (pair_engine.py)

A status record moves event time of every pair, and costs only those that listen to its connection or have something
due by then: the others' time moves on when they are next asked. With `owe` such pairs are not worked off at once
either: what they owe is settled by `settle`, in any order of pairs, and before a pair's next record.

A pair that already holds an offset skips it by itself, so that after a restart the log may be read again from the
lowest offset that any checkpoint lacks (DESIGN section 6).
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from operator import attrgetter
from typing import Any

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.kernel import Kernel, kernel
from mts_stream.domain.leg import NEVER_NS
from mts_stream.domain.market_data import ConnectionStatus, DepthUpdate, MarketEvent, RegistryUpdate
from mts_stream.domain.messages import Message
from mts_stream.domain.older_checkpoints import CHECKPOINT_VERSION, as_newest
from mts_stream.domain.packing import opened, sealed
from mts_stream.domain.pair_engine import PairEngine
from mts_stream.domain.rejection import BadRecordError

CLOCK_KEY = "@"
CLOCK_TICKS_MAX = 100_000  # hours of status records
Connection = tuple[str, str, str]  # venue, market, name


@dataclass(slots=True, init=False)
class Handled:
    """What a record led to."""

    messages: list[Message]
    evaluated: bool
    skipped: bool

    def __init__(
        self, messages: list[Message] | None = None, *, evaluated: bool = False, skipped: bool = False
    ) -> None:
        self.messages = [] if messages is None else messages
        self.evaluated = evaluated
        self.skipped = skipped


@dataclass(slots=True)
class Progress:
    """How far a pair, or the clock, has come in the log: the last offset handled, the first in no checkpoint."""

    offset: int = -1
    pending: int | None = None

    def take(self, offset: int) -> bool:
        """Move to an offset; False where it was handled before."""
        if offset <= self.offset:
            return False
        self.offset = offset
        self.lack(offset)
        return True

    def lack(self, offset: int) -> None:
        """No checkpoint holds this offset."""
        if self.pending is None:
            self.pending = offset


@dataclass(slots=True)
class PairState(Progress):
    """A pair's engine and how far it has come; `number` is its place among the pairs.

    `owed` are the status records, with their offsets, that it has not handled yet; `awaited_ns` is when the
    partition's clock will look at it next.
    """

    engine: PairEngine = field(kw_only=True)
    number: int = 0
    owed: list[tuple[int, ConnectionStatus]] = field(default_factory=list)
    awaited_ns: int = NEVER_NS

    def handle(self, offset: int, status: ConnectionStatus, clock_ns: int, handled: Handled) -> None:
        """Handle a status record; `clock_ns` is the partition's clock, this record included."""
        self.engine.begin_at(clock_ns)
        handled.skipped = False
        handled.evaluated |= self.engine.on_event(status, handled.messages)
        self.take(offset)


@dataclass(slots=True)
class ClockState(Progress):
    """The partition's status clock, for pairs that come later: the highest received time up to an offset.

    `ticks` are (offset, ns), both rising; old ones stay until no pair can be read anew from before them, so that
    a pair whose first record is read again after a restart begins at the same time as it did before.
    """

    ticks: list[tuple[int, int]] = field(default_factory=list)

    def tick(self, offset: int, ns: int) -> None:
        """Note a status record."""
        if not self.ticks or ns > self.ticks[-1][1]:
            self.ticks.append((offset, ns))
            if len(self.ticks) > CLOCK_TICKS_MAX:
                del self.ticks[0]

    def before(self, offset: int) -> int:
        """The clock as the records before an offset set it."""
        ticks = self.ticks
        if ticks and ticks[-1][0] < offset:
            return ticks[-1][1]
        index = bisect_left(ticks, (offset, 0))
        return ticks[index - 1][1] if index else 0

    def forget_before(self, offset: int) -> None:
        """Drop what only a record before the committed offset could ask for."""
        del self.ticks[: max(0, bisect_left(self.ticks, (offset, 0)) - 1)]


class PartitionEngine:
    """All pairs of one partition; the kernel decides how fast it is, never what comes out."""

    def __init__(self, settings: EconomicSettings, implementation: Kernel | None = None) -> None:
        self.settings = settings
        self.kernel = implementation or kernel()
        self.pairs: dict[str, PairState] = {}
        self.clock = ClockState()
        self._read = -1  # the offset of the newest record
        self._numbers = count()
        self._owing: dict[str, PairState] = {}
        self._deadlines: list[tuple[int, int, PairState]] = []  # a heap: when, the pair's number, the pair
        self._listeners: dict[Connection, dict[int, PairState]] = {}  # those that have, or had, a book of a connection

    @property
    def owing(self) -> Mapping[str, object]:
        """The pairs that have something to settle, the one that owes for longest first."""
        return self._owing

    def on_event(self, event: MarketEvent, offset: int, *, owe: bool = False) -> Handled:
        """Handle one record; raises BadRecordError for a dead letter, which moves nothing.

        With `owe` a status record's work on pairs that it closes windows of waits; a record is not of a pair that owes.
        """
        self._read = offset
        if isinstance(event, ConnectionStatus):
            return self._on_status(event, offset, owe)
        name = event.origin.pair
        state = self.pairs.get(name)
        is_new = state is None
        if state is None:
            state = self._new_pair(event, offset)
        if offset <= state.offset:
            return Handled(skipped=True)
        assert not state.owed, f"{name} owes {len(state.owed)} status records"
        handled = Handled()
        engine = state.engine
        engine.begin_at(self.clock.before(offset))
        handled.evaluated = engine.on_event(event, handled.messages)
        state.take(offset)
        if is_new:
            self._hold(name, state)
        elif engine.due_ns < state.awaited_ns:
            self._await(state, engine.due_ns)
        if isinstance(event, DepthUpdate) and event.replaces:
            self._listen(state, (event.origin.venue, event.origin.market, event.origin.conn))
        return handled

    def _new_pair(self, event: MarketEvent, offset: int) -> PairState:
        origin = event.origin
        if not isinstance(event, RegistryUpdate):
            raise BadRecordError("unknown_instrument", f"{origin.message_id}: the registry holds no {origin.pair!r}")
        return PairState(engine=PairEngine(origin.pair, self.settings, self.clock.before(offset), self.kernel))

    def _hold(self, name: str, state: PairState) -> None:
        """Take a pair among ours."""
        state.number = next(self._numbers)
        self.pairs[name] = state
        self._await(state, state.engine.due_ns)

    def _await(self, state: PairState, due_ns: int) -> None:
        """Look at a pair when the clock reaches a time."""
        state.awaited_ns = due_ns
        heappush(self._deadlines, (due_ns, state.number, state))

    def _listen(self, state: PairState, connection: Connection) -> None:
        self._listeners.setdefault(connection, {})[state.number] = state

    def _on_status(self, status: ConnectionStatus, offset: int, owe: bool) -> Handled:
        handled = Handled(skipped=not self.clock.take(offset))
        if not handled.skipped:
            self.clock.tick(offset, status.origin.received_ns)
        clock_ns = self.clock.before(offset + 1)
        is_alive, leg = status.state == "alive", status.origin.leg
        for state in self._concerned(status, clock_ns):
            engine = state.engine
            is_quiet = is_alive and engine.due_ns > clock_ns and not state.owed
            if offset <= state.offset:
                pass
            elif is_quiet and engine.hear(leg, status.origin, clock_ns):
                state.take(offset)
                handled.skipped = False
            elif owe and not is_quiet:
                state.owed.append((offset, status))
                state.lack(offset)
                self._owing[engine.pair] = state
                handled.skipped = False
            else:
                state.handle(offset, status, clock_ns, handled)
            if state.owed:
                if state.awaited_ns == NEVER_NS:
                    self._await(state, engine.due_after(clock_ns))
            elif engine.due_ns < state.awaited_ns:
                self._await(state, engine.due_ns)
        return handled

    def _concerned(self, status: ConnectionStatus, clock_ns: int) -> list[PairState]:
        """The pairs that have something due by now, and those that listen to the connection, in their order."""
        origin = status.origin
        found = dict(self._listeners.get((origin.venue, origin.market, origin.conn), ()))
        deadlines = self._deadlines
        while deadlines and deadlines[0][0] <= clock_ns:
            due_ns, number, state = heappop(deadlines)
            if due_ns == state.awaited_ns:  # else it is looked at another time
                state.awaited_ns = NEVER_NS
                found[number] = state
        return sorted(found.values(), key=attrgetter("number"))

    def settle(self, name: str) -> Handled:
        """Handle the status records that a pair owes."""
        handled = Handled(skipped=True)
        state = self._owing.pop(name, None)
        if state is not None:
            owed, state.owed = state.owed, []
            for offset, status in owed:
                state.handle(offset, status, self.clock.before(offset + 1), handled)
            if state.engine.due_ns < state.awaited_ns:
                self._await(state, state.engine.due_ns)
        return handled

    @property
    def open_opportunities(self) -> int:
        """How many opportunities are open now."""
        return sum(state.engine.open_count for state in self.pairs.values())

    def snapshot(self, key: str) -> bytes:
        """The checkpoint of a pair, or of the clock under CLOCK_KEY, with the offset that it includes."""
        if key == CLOCK_KEY:
            data: dict[str, Any] = {"offset": self.clock.offset, "ticks": self.clock.ticks}
        else:
            state = self.pairs[key]
            assert not state.owed, f"{key} owes {len(state.owed)} status records"
            state.engine.begin_at(self.clock.before(self._read + 1))  # so that it need not rely on the clock's own
            data = {"offset": state.offset, "pair": state.engine.snapshot()}
        return sealed({"v": CHECKPOINT_VERSION} | data)

    def restore(self, key: str, checkpoint: bytes) -> None:
        """Take over a checkpoint; raises ValueError for one that is broken or of another version."""
        try:
            data = as_newest(opened(checkpoint))
            if data["v"] != CHECKPOINT_VERSION:
                raise ValueError(f"checkpoint of {key}: version {data['v']}, this worker knows {CHECKPOINT_VERSION}")
            if key == CLOCK_KEY:
                ticks = [(offset, ns) for offset, ns in data["ticks"]]
                self.clock = ClockState(data["offset"], ticks=ticks)
            else:
                engine = PairEngine(key, self.settings, 0, self.kernel)
                engine.restore(data["pair"])
                state = PairState(data["offset"], engine=engine)
                self._hold(key, state)
                for leg in engine.legs.values():
                    self._listen(state, (leg.book.venue, leg.book.market, leg.book.conn))
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(f"checkpoint of {key} is broken: {error!r}") from error
