"""What one connection delivered second by second, as it goes to `mts.quality` and to the metrics.

    received_ns  ...|  frames, books that stand  |  frames  |...      seconds of the epoch, by `received_ns`
    tick                     ^                         ^              tells the seconds that have ended, each once

A second in which this process did not run has no message: nobody watched.
"""

from collections import Counter, deque
from dataclasses import dataclass
from math import nan
from typing import Any

from mts_stream.domain.exact import plain_rounded
from mts_stream.domain.latency import rank
from mts_stream.domain.quality import percent
from mts_stream.metrics import (
    BOOKS_VALID,
    FEED_LATENCY,
    FEED_LATENCY_CORRECTED,
    FRAMES,
    REST_BUDGET,
    REST_SPENT,
    SNAPSHOTS_WAITING,
)
from mts_stream.wire.envelope import encode_frame
from producers.clock_offset import ClockOffset

WINDOW_MS = 1000
LATENCIES_MAX = 10_000
UNTOLD_SECONDS_MAX = 10
NS_PER_S, NS_PER_MS = 1_000_000_000, 1_000_000
QUANTILES = {"p50": 50, "p90": 90, "p99": 99, "max": 100}


@dataclass(frozen=True, slots=True)
class Shared:
    """What a connection shares with others as it is now: queues, the REST budget, the exchange's clock."""

    queued_records: int = 0
    queued_snapshots: int | None = None
    rest_weight_spent: int | None = None
    rest_weight_reported: int | None = None
    rest_weight_budget: int | None = None
    clock: ClockOffset | None = None


def nothing_shared(_: int) -> Shared:
    """A connection that stands alone."""
    return Shared()


class _Second:
    """The counts of one second; books count by the time that they stood and were followed."""

    def __init__(self, start_ns: int) -> None:
        self.start_ns, self.end_ns = start_ns, start_ns + WINDOW_MS * NS_PER_MS
        self.frames: Counter[str] = Counter()
        self.bytes = 0
        self.latencies_ns: list[int] = []
        self.resyncs: Counter[str] = Counter()
        self.reconnects = self.dead_letters = 0
        self.stood_ns = self.followed_ns = self.books = self.books_synced = 0


class ConnectionQuality:
    """Told what came and what stands, asked for the messages of the seconds that have ended."""

    def __init__(self, conn: str, venue: str, market: str) -> None:
        self.conn, self.venue, self.market = conn, venue, market
        self._now = _Second(0)
        self._ended: deque[_Second] = deque(maxlen=UNTOLD_SECONDS_MAX)
        self._books = self._synced = self._since_ns = 0

    def on_frame(self, channel: str, size: int, received_ns: int, exchange_ms: int) -> None:
        """One frame came."""
        if received_ns >= self._now.end_ns:
            self._turn(received_ns)
        second = self._now
        second.frames[channel] += 1
        second.bytes += size
        if len(second.latencies_ns) < LATENCIES_MAX:
            second.latencies_ns.append(received_ns - exchange_ms * NS_PER_MS)

    def on_books(self, now_ns: int, synced: int, books: int) -> None:
        """From now on so many books stand, of so many that are followed."""
        self._at(now_ns)
        self._spend_to(now_ns)
        self._synced, self._books = synced, books

    def on_resync(self, now_ns: int, reason: str) -> None:
        """A book was found out of step."""
        self._at(now_ns).resyncs[reason] += 1

    def on_reconnect(self, now_ns: int) -> None:
        """The connection was lost, or given up."""
        self._at(now_ns).reconnects += 1

    def on_dead_letter(self, now_ns: int) -> None:
        """A message was not understood."""
        self._at(now_ns).dead_letters += 1

    def messages(self, now_ns: int, gen: int, shared: Shared) -> list[bytes]:
        """One message for each second that has ended and was not told yet."""
        self._at(now_ns)
        told = [encode_frame(self._message(second, gen, shared)) for second in self._ended]
        if self._ended:
            self._measure(self._ended[-1], shared)
            for channel, count in sum((second.frames for second in self._ended), Counter[str]()).items():
                FRAMES.labels(self.venue, self.market, channel).inc(count)
        self._ended.clear()
        return told

    def _at(self, now_ns: int) -> _Second:
        if now_ns >= self._now.end_ns:
            self._turn(now_ns)
        return self._now

    def _turn(self, now_ns: int) -> None:
        """End the second that runs, and those after it up to now unless there are too many: then nobody watched."""
        first = self._now.start_ns == 0
        slept = now_ns - self._now.end_ns >= UNTOLD_SECONDS_MAX * NS_PER_S
        while not first and now_ns >= self._now.end_ns:
            self._end()
            if slept:
                break
        if first or slept:
            self._now = _Second(now_ns // NS_PER_S * NS_PER_S)
            self._since_ns = now_ns

    def _end(self) -> None:
        self._spend_to(self._now.end_ns)
        self._now.books, self._now.books_synced = self._books, self._synced
        self._ended.append(self._now)
        self._now = _Second(self._now.end_ns)

    def _spend_to(self, now_ns: int) -> None:
        spent_ns = max(0, now_ns - self._since_ns)
        self._now.stood_ns += self._synced * spent_ns
        self._now.followed_ns += self._books * spent_ns
        self._since_ns = max(self._since_ns, now_ns)

    def _message(self, second: _Second, gen: int, shared: Shared) -> dict[str, Any]:
        latencies = second.latencies_ns
        clock = shared.clock
        message: dict[str, Any] = {
            "type": "connection", "subject": self.conn, "pair": "", "venue": self.venue, "market": self.market,
            "symbol": "", "window_start_ns": second.start_ns, "window_ms": WINDOW_MS,
            "frames": second.frames.total(), "frames_by_channel": dict(second.frames), "bytes": second.bytes,
            "reconnects": second.reconnects, "gaps": second.resyncs["gap"], "resyncs": second.resyncs.total(),
            "resyncs_by_reason": {reason: n for reason, n in second.resyncs.items() if n}, "gen": gen,
            "books": second.books, "books_synced": second.books_synced,
            "valid_percent": percent(second.stood_ns, second.followed_ns), "dead_letters": second.dead_letters,
            "queued_records": shared.queued_records, "queued_snapshots": shared.queued_snapshots,
            "rest_weight_spent": shared.rest_weight_spent, "rest_weight_reported": shared.rest_weight_reported,
            "rest_weight_budget": shared.rest_weight_budget,
            "clock_offset_ms": _ms(clock.offset_ns if clock else None),
            "clock_offset_error_ms": _ms(clock.error_ns if clock else None),
        }  # fmt: skip
        for name, latency_ns in percentiles_ns(latencies).items():
            corrected_ns = None if clock is None or latency_ns is None else latency_ns + clock.offset_ns
            message[f"latency_{name}_ms"] = _ms(latency_ns)
            message[f"latency_corrected_{name}_ms"] = _ms(corrected_ns)
        return message

    def _measure(self, second: _Second, shared: Shared) -> None:
        """The newest second as metrics; what is not known is no number."""
        offset_ns = shared.clock.offset_ns if shared.clock is not None else nan
        for name, latency_ns in percentiles_ns(second.latencies_ns).items():
            raw_ns = nan if latency_ns is None else latency_ns
            FEED_LATENCY.labels(self.conn, name).set(raw_ns / NS_PER_S)
            FEED_LATENCY_CORRECTED.labels(self.conn, name).set((raw_ns + offset_ns) / NS_PER_S)
        BOOKS_VALID.labels(self.conn).set(second.stood_ns / second.followed_ns if second.followed_ns else nan)
        for gauge, value in (
            (SNAPSHOTS_WAITING, shared.queued_snapshots),
            (REST_SPENT, shared.rest_weight_spent),
            (REST_BUDGET, shared.rest_weight_budget),
        ):
            gauge.labels(self.venue, self.market).set(nan if value is None else value)


def percentiles_ns(latencies_ns: list[int]) -> dict[str, int | None]:
    """The quantiles that are told, None of nothing."""
    ordered = sorted(latencies_ns)
    return {name: ordered[rank(len(ordered), percent)] if ordered else None for name, percent in QUANTILES.items()}


def _ms(ns: int | None) -> str | None:
    """Nanoseconds as ms with three decimals at most."""
    return None if ns is None else plain_rounded(ns, NS_PER_MS, 3)
