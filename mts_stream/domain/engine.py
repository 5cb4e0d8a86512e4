"""The engine: the raw log of one partition in, results out; the same log always gives the same results.

    PartitionEngine          hands each record to its pair, a connection's status to all
      └─ PairEngine          event time, legs, directions of one pair (pair_engine.py)

A pair that already holds an offset skips it by itself, so that after a restart the log may be read again from the
lowest offset that any checkpoint lacks (DESIGN section 6).
"""

import json
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.kernel import Kernel, kernel
from mts_stream.domain.market_data import ConnectionStatus, MarketEvent, RegistryUpdate
from mts_stream.domain.messages import Message
from mts_stream.domain.pair_engine import PairEngine
from mts_stream.domain.quality import taken_of
from mts_stream.domain.rejection import BadRecordError

CHECKPOINT_VERSION = 2
CLOCK_KEY = "@"
CLOCK_TICKS_MAX = 100_000  # hours of status records


@dataclass(slots=True)
class Handled:
    """What a record led to."""

    messages: list[Message] = field(default_factory=list)
    evaluated: bool = False
    skipped: bool = False


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
        if self.pending is None:
            self.pending = offset
        return True


@dataclass(slots=True)
class PairState(Progress):
    """A pair's engine and how far it has come."""

    engine: PairEngine = field(kw_only=True)


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
        index = bisect_left(self.ticks, (offset, 0))
        return self.ticks[index - 1][1] if index else 0

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

    def on_event(self, event: MarketEvent, offset: int) -> Handled:
        """Handle one record; raises BadRecordError for a dead letter, which moves nothing."""
        if isinstance(event, ConnectionStatus):
            return self._on_status(event, offset)
        name = event.origin.pair
        state = self.pairs.get(name)
        is_new = state is None
        if state is None:
            state = self._new_pair(event, offset)
        if offset <= state.offset:
            return Handled(skipped=True)
        handled = Handled()
        handled.evaluated = state.engine.on_event(event, handled.messages)
        state.take(offset)
        if is_new:
            self.pairs[name] = state
        return handled

    def _new_pair(self, event: MarketEvent, offset: int) -> PairState:
        origin = event.origin
        if not isinstance(event, RegistryUpdate):
            raise BadRecordError("unknown_instrument", f"{origin.message_id}: the registry holds no {origin.pair!r}")
        return PairState(engine=PairEngine(origin.pair, self.settings, self.clock.before(offset), self.kernel))

    def _on_status(self, status: ConnectionStatus, offset: int) -> Handled:
        handled = Handled(skipped=True)
        if self.clock.take(offset):
            handled.skipped = False
            self.clock.tick(offset, status.origin.received_ns)
        for state in self.pairs.values():
            if state.take(offset):
                handled.skipped = False
                handled.evaluated |= state.engine.on_event(status, handled.messages)
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
            data = {"offset": state.offset, "pair": state.engine.snapshot()}
        return json.dumps({"v": CHECKPOINT_VERSION} | data, separators=(",", ":")).encode()

    def restore(self, key: str, checkpoint: bytes) -> None:
        """Take over a checkpoint; raises ValueError for one that is broken or of another version."""
        try:
            data = json.loads(checkpoint)
            if data["v"] == 1:
                data = _from_v1(data)
            if data["v"] != CHECKPOINT_VERSION:
                raise ValueError(f"checkpoint of {key}: version {data['v']}, this worker knows {CHECKPOINT_VERSION}")
            if key == CLOCK_KEY:
                ticks = [(offset, ns) for offset, ns in data["ticks"]]
                self.clock = ClockState(data["offset"], ticks=ticks)
            else:
                engine = PairEngine(key, self.settings, 0, self.kernel)
                engine.restore(data["pair"])
                self.pairs[key] = PairState(data["offset"], engine=engine)
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(f"checkpoint of {key} is broken: {error!r}") from error


def _from_v1(data: dict[str, Any]) -> dict[str, Any]:
    """A checkpoint of version 1: it counted a book's records and applied ones; the minute's other counts begin at 0."""
    for leg in data.get("pair", {}).get("legs", {}).values():
        *minute, records, applied = leg["quality"]
        leg["quality"] = [*minute, taken_of(records, applied), []]
    return data | {"v": CHECKPOINT_VERSION}
