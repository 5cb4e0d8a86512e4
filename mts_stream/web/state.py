"""Everything the page shows, as plain state: told messages, asked for a snapshot or for what changed.

No clock, no Kafka, no HTTP: time is an argument. Times in what it answers are Unix ms, as a browser counts them.
"""

from typing import Any

from mts_stream.web.directions import DirectionBoard
from mts_stream.web.legs import window_end_ns
from mts_stream.web.messages import SHOWN_TOPICS, Book, Connection, Funding, Opportunity, OtherSignal, Told, Window
from mts_stream.web.opportunities import OpportunityBoard
from mts_stream.web.tallies import Tallies

NS_PER_S, NS_PER_MS = 1_000_000_000, 1_000_000
FUNDINGS_MAX = 12_000
CONNECTIONS_MAX = 1000
FORGET_EVERY_S = 5
CHANGED_AFTER_NS = 5 * 10**9
SUCCESSOR = {"a": "b", "b": "a"}  # a connection's name ends in one of them (DESIGN section 3)
View = dict[str, Any]


class PageState:
    """The view of the last `history_s` seconds of the result topics."""

    def __init__(self, history_s: int) -> None:
        self._history_ns = history_s * NS_PER_S
        self._directions = DirectionBoard()
        self._opportunities = OpportunityBoard()
        self._tallies = Tallies()
        self._connections: dict[str, Connection] = {}
        self._funding: dict[tuple[str, str, str], Funding] = {}
        self._changed_connections: set[str] = set()
        self._connections_gone: list[str] = []
        self._changed_funding: set[tuple[str, str, str]] = set()
        self._newest_ns = dict.fromkeys(SHOWN_TOPICS, 0)
        self._messages = dict.fromkeys(SHOWN_TOPICS, 0)
        self._unreadable = dict.fromkeys(SHOWN_TOPICS, 0)
        self._feed: View = {"state": "starting", "detail": ""}
        self._told = False
        self._tallied_s = 0
        self._forgotten_s = 0

    def on_feed(self, state: str, detail: str) -> None:
        """Take the reader's state: `starting`, `waiting`, `catching_up`, `live`."""
        self._feed = {"state": state, "detail": detail}
        self._told = True

    def on_message(self, topic: str, told: Told | None, now_ns: int) -> None:
        """Take a message of a topic, None for one that could not be read."""
        self._told = True
        self._messages[topic] += 1
        if told is None:
            self._unreadable[topic] += 1
            return
        event_ns = self._take(told, now_ns)
        # A time ahead of the clock must not make everything after it look old.
        self._newest_ns[topic] = max(self._newest_ns[topic], min(event_ns, now_ns))

    def snapshot(self, now_ns: int) -> View:
        """All of it."""
        self._forget(now_ns)
        return self._common(now_ns) | self._tallied(now_ns) | {
            "full": True,
            "directions": self._directions.all(),
            "directions_gone": [],
            "open": self._opportunities.open(),
            "open_gone": [],
            "closed": self._opportunities.recent(),
            "connections": [_connection_view(c) for _, c in sorted(self._connections.items())],
            "connections_gone": [],
            "funding": [_funding_view(f) for _, f in sorted(self._funding.items())],
        }  # fmt: skip

    def changes(self, now_ns: int) -> View | None:
        """What changed since the last call, None when nothing did; a new second alone is a change.

        Taking the same changes twice, or changes that a snapshot holds already, does no harm.
        """
        second = now_ns // NS_PER_S
        if not self._told and second == self._tallied_s:
            return None
        self._told = False
        self._forget(now_ns)
        connections_gone, self._connections_gone = self._connections_gone, []
        directions, directions_gone = self._directions.drain()
        opened, open_gone, closed = self._opportunities.drain()
        connections, self._changed_connections = self._changed_connections, set()
        funding, self._changed_funding = self._changed_funding, set()
        changes: View = self._common(now_ns) | {
            "directions": directions,
            "directions_gone": directions_gone,
            "open": opened,
            "open_gone": open_gone,
            "closed": closed,
            "connections": [_connection_view(self._connections[key]) for key in sorted(connections)],
            "connections_gone": connections_gone,
            "funding": [_funding_view(self._funding[key]) for key in sorted(funding)],
        }
        if second != self._tallied_s:
            self._tallied_s = second
            changes |= self._tallied(now_ns)
        return {name: value for name, value in changes.items() if value != []}

    @property
    def feed(self) -> View:
        """The reader's state and what it says about it."""
        return self._feed

    def _take(self, told: Told, now_ns: int) -> int:
        """Hand a message to whom it concerns; returns its event time."""
        match told:
            case Window():
                if self._directions.on_window(told):
                    end_s = min(window_end_ns(told), now_ns + NS_PER_S) // NS_PER_S
                    self._tallies.on_window(told.pair, end_s, told.outcomes)
                return window_end_ns(told)
            case Opportunity():
                if self._opportunities.on_event(told):
                    self._tallies.on_signal(min(told.event_time_ns, now_ns) // NS_PER_S)
                return told.event_time_ns
            case OtherSignal():
                return told.event_time_ns
            case Funding():
                return self._on_funding(told)
            case Book():
                self._directions.on_book(told)
                return told.window_start_ns + told.window_ms * NS_PER_MS
            case Connection():
                return self._on_connection(told)

    def _on_funding(self, told: Funding) -> int:
        key = (told.pair, told.venue, told.market)
        known = self._funding.get(key)
        newer = known is None or told.event_time_ns >= known.event_time_ns
        if newer and (known is not None or len(self._funding) < FUNDINGS_MAX):
            self._funding[key] = told
            self._changed_funding.add(key)
        return told.event_time_ns

    def _on_connection(self, told: Connection) -> int:
        known = self._connections.get(told.subject)
        newer = known is None or told.window_start_ns > known.window_start_ns
        if newer and (known is not None or len(self._connections) < CONNECTIONS_MAX):
            self._connections[told.subject] = told
            self._changed_connections.add(told.subject)
        return told.window_start_ns + told.window_ms * NS_PER_MS

    def _forget(self, now_ns: int) -> None:
        if now_ns // NS_PER_S < self._forgotten_s + FORGET_EVERY_S:
            return
        self._forgotten_s = now_ns // NS_PER_S
        oldest_ns = now_ns - self._history_ns
        for pair in self._directions.forget_before(oldest_ns):
            self._tallies.forget(pair)
        self._opportunities.forget_before(oldest_ns)
        for key in [key for key, told in self._connections.items() if self._is_gone(told, oldest_ns)]:
            del self._connections[key]
            self._changed_connections.discard(key)
            self._connections_gone.append(key)

    def _is_gone(self, told: Connection, oldest_ns: int) -> bool:
        """Whether nothing was heard of it for too long, or its successor, of the other letter, goes on without it."""
        shard, _, letter = told.subject.rpartition("-")
        other = self._connections.get(f"{shard}-{SUCCESSOR.get(letter, '')}")
        is_changed = other is not None and other.window_start_ns > told.window_start_ns + CHANGED_AFTER_NS
        return is_changed or told.window_start_ns < oldest_ns

    def _common(self, now_ns: int) -> View:
        return {
            "now_ms": now_ns // NS_PER_MS,
            "feed": self._feed,
            "topics": {
                topic: {
                    "newest_ms": newest_ns // NS_PER_MS or None,
                    "messages": self._messages[topic],
                    "unreadable": self._unreadable[topic],
                }
                for topic, newest_ns in self._newest_ns.items()
            },
            "directions_beyond_bound": self._directions.beyond_bound,
        }

    def _tallied(self, now_ns: int) -> View:
        now_s = now_ns // NS_PER_S
        return {"rates": self._tallies.rates(now_s), "outcomes": self._tallies.outcomes(now_s)}


def _connection_view(told: Connection) -> View:
    return {
        "subject": told.subject,
        "venue": told.venue,
        "market": told.market,
        "end_ms": told.window_start_ns // NS_PER_MS + told.window_ms,
        "frames_per_s": round(told.frames * 1000 / max(told.window_ms, 1), 1),
        "latency_p50_ms": told.latency_p50_ms,
        "latency_p99_ms": told.latency_p99_ms,
        "latency_corrected_p50_ms": told.latency_corrected_p50_ms,
        "latency_corrected_p99_ms": told.latency_corrected_p99_ms,
        "clock_offset_ms": told.clock_offset_ms,
        "clock_offset_error_ms": told.clock_offset_error_ms,
        "valid_percent": told.valid_percent,
    }


def _funding_view(told: Funding) -> View:
    return {
        "key": f"{told.pair} {told.venue}:{told.market}",
        "pair": told.pair,
        "leg": f"{told.venue}:{told.market}",
        "rate": told.rate,
        "next_funding_ms": None if told.next_funding_ns is None else told.next_funding_ns // NS_PER_MS,
        "interval_hours": told.interval_hours,
    }
