"""What one connection subscribed to, and whether the venue keeps its word: told answers and time, asks again.

An acknowledgement proves nothing (exchanges.md 1.1): a stream is in doubt until its first frame has come. What is
refused, not listed, or silent is asked for again, after waits that grow; a stream that a refusal names waits alone.
"""

import sys
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import count

from mts_stream.exchanges.venue import VenueMarket
from mts_stream.logs import get_logger
from mts_stream.metrics import SUBSCRIPTION_FAULTS

NS_PER_S = 1_000_000_000
ACK_NS_MAX = 5 * NS_PER_S
FIRST_FRAME_NS = 5 * NS_PER_S
REFUSED_NS = 1 * NS_PER_S
NAMED_NS = 30 * NS_PER_S
WAIT_NS_MAX = 60 * NS_PER_S
NAMED_NS_MAX = 600 * NS_PER_S
TRIES_COUNTED_MAX = 10  # more do not let a wait grow
SHOWN_MAX = 5

log = get_logger(__name__)


@dataclass(slots=True)
class _Doubt:
    """A stream that may not flow: when to ask again, how often that was done, and whether it is certain."""

    due_ns: int
    tries: int = 0
    is_certain: bool = False
    is_named: bool = False

    def wait_ns(self, first_ns: int, most_ns: int) -> int:
        """The wait after so many tries."""
        return min(most_ns, first_ns << min(self.tries, TRIES_COUNTED_MAX))


@dataclass(frozen=True, slots=True)
class _Request:
    topics: tuple[str, ...]
    due_ns: int


class Subscriptions:
    """The streams of one connection; sends requests through `send`, asks `has_spoken` whether a stream sent a frame."""

    def __init__(
        self, market: VenueMarket, conn: str, send: Callable[[bytes], None], has_spoken: Callable[[str], bool]
    ) -> None:
        self.faults: Counter[str] = Counter()
        self._market, self._conn, self._send, self._has_spoken = market, conn, send, has_spoken
        self._limits = market.socket_limits
        self._request_ids = count(1)
        self._request_ns = int(2 * NS_PER_S / self._limits.messages_per_s)  # half of the rate, for pings count too
        self._wanted: dict[str, None] = {}
        self._doubts: dict[str, _Doubt] = {}
        self._requests: dict[str, _Request] = {}
        self._lists: dict[str, frozenset[str]] = {}
        self._now_ns = self._sent_by_ns = self._heartbeat_due_ns = 0

    @property
    def doubted(self) -> int:
        """Streams that may not flow."""
        return len(self._doubts)

    @property
    def room(self) -> int:
        """How many more streams the venue allows on this connection."""
        return (self._limits.topics_per_connection or sys.maxsize) - len(self._wanted)

    def open(self, topics: Sequence[str], now_ns: int) -> None:
        """A new connection stands: subscribe to these streams, whatever was before."""
        self._wanted.clear()
        self._doubts.clear()
        self._requests.clear()
        self._lists.clear()
        self._now_ns = self._sent_by_ns = now_ns
        self._heartbeat_due_ns = now_ns + int(self._limits.heartbeat_s * NS_PER_S)
        self.add(topics)

    def add(self, topics: Sequence[str]) -> None:
        """Subscribe to more streams."""
        self._wanted |= dict.fromkeys(topics)
        self._subscribe(topics)
        for topic in topics:
            self._doubts[topic] = _Doubt(self._sent_by_ns + FIRST_FRAME_NS)

    def remove(self, topics: Sequence[str]) -> None:
        """End streams."""
        for topic in topics:
            self._wanted.pop(topic, None)
            self._doubts.pop(topic, None)
        self._unsubscribe(topics)

    def renew(self, topics: Sequence[str]) -> None:
        """End streams and begin them anew: what brings a new snapshot on the socket."""
        self._unsubscribe(topics)
        self._subscribe(topics)

    def on_ack(self, request_id: str) -> None:
        """The venue took a request, or one that we do not know of."""
        if self._requests.pop(request_id, None) is None:
            self._fault("unknown_ack", 1, request_id=request_id)

    def on_refused(self, request_id: str, named: Collection[str], detail: str) -> None:
        """The venue refused a request as a whole: what it named waits long and alone, the rest is asked for anew."""
        request = self._requests.pop(request_id, None)
        topics = [topic for topic in request.topics if topic in self._wanted] if request else []
        self._fault("refused", 1, request_id=request_id, detail=detail, some=topics[:SHOWN_MAX])
        is_named = not set(named).isdisjoint(topics)
        for topic in topics:
            doubt = self._doubts.setdefault(topic, _Doubt(0))
            if topic in named:
                doubt.is_named, doubt.is_certain = True, False
                doubt.due_ns = self._now_ns + doubt.wait_ns(NAMED_NS, NAMED_NS_MAX)
            else:
                doubt.is_certain = True
                doubt.due_ns = self._now_ns + (0 if is_named else doubt.wait_ns(REFUSED_NS, WAIT_NS_MAX))

    def on_listed(self, request_id: str, topics: Collection[str]) -> None:
        """The venue says what it believes this connection subscribed to."""
        asked = self._lists.pop(request_id, None)
        if asked is None:
            self._fault("unknown_ack", 1, request_id=request_id)
            return
        self._requests.pop(request_id, None)
        unlisted = sorted((asked & self._wanted.keys()).difference(topics))
        for topic in unlisted:
            doubt = self._doubts.setdefault(topic, _Doubt(0))
            doubt.due_ns, doubt.is_certain = self._now_ns, True
        if unlisted:
            self._fault("unlisted", len(unlisted), some=unlisted[:SHOWN_MAX])

    def on_second(self, now_ns: int) -> None:
        """Ping in the venue's way, miss answers, ask again for what is due."""
        self._now_ns = now_ns
        self._sent_by_ns = max(self._sent_by_ns, now_ns)
        if now_ns >= self._heartbeat_due_ns:
            self._beat()
        for request_id in [number for number, request in self._requests.items() if now_ns >= request.due_ns]:
            request = self._requests.pop(request_id)
            self._lists.pop(request_id, None)
            self._fault("no_ack", 1, request_id=request_id, some=list(request.topics[:SHOWN_MAX]))
        self._settle()

    def _beat(self) -> None:
        self._heartbeat_due_ns = self._now_ns + int(self._limits.heartbeat_s * NS_PER_S)
        number = next(self._request_ids)
        if self._market.lists_subscriptions:
            self._lists[str(number)] = frozenset(self._wanted)
            self._await(number, ())
        self._send(self._market.heartbeat(number))

    def _settle(self) -> None:
        """Drop the doubts that a first frame has settled; ask again for those whose time has come."""
        for topic in [t for t, doubt in self._doubts.items() if not doubt.is_certain and self._has_spoken(t)]:
            del self._doubts[topic]
        due = {topic: doubt for topic, doubt in self._doubts.items() if self._now_ns >= doubt.due_ns}
        together = [topic for topic, doubt in due.items() if not doubt.is_named]
        silent = [topic for topic in together if not due[topic].is_certain]
        if silent:
            self._fault("no_first_frame", len(silent), some=silent[:SHOWN_MAX])
            if not self._market.snapshots_by_rest:  # there, what runs already cannot be subscribed to again
                self._unsubscribe(silent)
        self._subscribe(together)
        for topic in due.keys() - set(together):
            self._subscribe([topic])
        for doubt in due.values():
            doubt.tries += 1
            doubt.is_certain = False
            doubt.due_ns = self._sent_by_ns + doubt.wait_ns(FIRST_FRAME_NS, WAIT_NS_MAX)

    def _subscribe(self, topics: Sequence[str]) -> None:
        for part in self._parts(topics):
            number = next(self._request_ids)
            self._await(number, part)
            self._send(self._market.subscribe(part, number))

    def _unsubscribe(self, topics: Sequence[str]) -> None:
        for part in self._parts(topics):
            number = next(self._request_ids)
            self._await(number, ())
            self._send(self._market.unsubscribe(part, number))

    def _await(self, number: int, topics: tuple[str, ...]) -> None:
        """Requests go out at the venue's pace, so the answers of many are due later."""
        self._sent_by_ns += self._request_ns
        self._requests[str(number)] = _Request(topics, self._sent_by_ns + ACK_NS_MAX)

    def _parts(self, topics: Sequence[str]) -> list[tuple[str, ...]]:
        size = self._limits.topics_per_request
        return [tuple(topics[start : start + size]) for start in range(0, len(topics), size)]

    def _fault(self, reason: str, faults: int, **what: object) -> None:
        self.faults[reason] += faults
        SUBSCRIPTION_FAULTS.labels(self._market.venue, self._market.market, reason).inc(faults)
        log.warning("a subscription went wrong", conn=self._conn, reason=reason, count=faults, **what)
