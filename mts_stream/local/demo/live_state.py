"""What the live view shows: last edges, open opportunities, outcomes; pure: it is told decoded results."""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from mts_stream.wire.kafka import Record
from mts_stream.wire.topics import SIGNALS, SPREADS

CLOSED_SHOWN = 5
STALE_NS = 3_000_000_000
"""An edge older than this against the newest window is shown as stale."""


@dataclass(slots=True)
class Edge:
    """The last finished second of one direction."""

    window_start_ns: int
    edge_bps: str | None


@dataclass(slots=True)
class Opportunity:
    """An opportunity as its last event told it; `reason` is why it closed."""

    pair: str
    direction: str
    net_usd: str
    net_bps: str
    opened_ns: int
    event_time_ns: int
    reason: str | None = None

    @property
    def lived_ms(self) -> int:
        """Event time from its opening to its last event."""
        return (self.event_time_ns - self.opened_ns) // 1_000_000

    def open_ms(self, now_ns: int) -> int:
        """Time from its opening until now; event time is a wall clock's too."""
        return max(self.lived_ms, (now_ns - self.opened_ns) // 1_000_000)


@dataclass(slots=True)
class LiveState:
    """The newest state of everything shown; bounded by pairs and directions."""

    edges: dict[tuple[str, str], Edge] = field(default_factory=dict)
    open: dict[str, Opportunity] = field(default_factory=dict)
    closed: deque[Opportunity] = field(default_factory=lambda: deque(maxlen=CLOSED_SHOWN))
    outcomes: Counter[str] = field(default_factory=Counter)
    opened_count: int = 0
    newest_window_ns: int = 0
    unreadable: int = 0

    def on_results(self, results: list[tuple[Record, dict[str, Any]]]) -> None:
        """New results, decoded."""
        for record, message in results:
            try:
                self._on_result(record.topic, message)
            except (KeyError, TypeError, AttributeError):
                self.unreadable += 1  # not ours: the sink refuses it, and the summary counts it

    def is_open(self, pair: str, direction: str) -> bool:
        """Whether an opportunity of this direction is open."""
        return any(o.pair == pair and o.direction == direction for o in self.open.values())

    def is_stale(self, edge: Edge) -> bool:
        """Whether the direction's seconds stopped coming."""
        return self.newest_window_ns - edge.window_start_ns > STALE_NS

    def _on_result(self, topic: str, message: dict[str, Any]) -> None:
        if topic == SPREADS:
            self._on_window(message)
        elif topic == SIGNALS and message["type"].startswith("arbitrage."):
            self._on_signal(message)

    def _on_window(self, row: dict[str, Any]) -> None:
        start_ns = row["window_start_ns"]
        self.edges[row["pair"], row["direction"]] = Edge(start_ns, row["edge_close_bps"])
        self.newest_window_ns = max(self.newest_window_ns, start_ns)
        self.outcomes.update(row["outcomes"])

    def _on_signal(self, message: dict[str, Any]) -> None:
        known = self.open.pop(message["opportunity_id"], None)
        opportunity = Opportunity(
            message["pair"], message["direction"], message["net_usd"], message["net_bps"],
            known.opened_ns if known else message["event_time_ns"], message["event_time_ns"], message.get("reason"),
        )  # fmt: skip
        if message["type"] == "arbitrage.closed":
            self.closed.appendleft(opportunity)
            return
        self.opened_count += message["type"] == "arbitrage.opened"
        self.open[message["opportunity_id"]] = opportunity
