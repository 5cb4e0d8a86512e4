"""What one connection delivered in the last second, as it goes to `mts.quality` and to the metrics."""

from collections import Counter
from typing import Any

from mts_stream.metrics import FRAMES
from mts_stream.wire.envelope import encode_frame

WINDOW_MS = 1000
LATENCIES_MAX = 10_000
NS_PER_MS = 1_000_000


class ConnectionQuality:
    """Counts frames, bytes and latencies (receive minus exchange time) of the window that is running."""

    def __init__(self, conn: str, venue: str, market: str) -> None:
        self.conn, self.venue, self.market = conn, venue, market
        self.reconnects = self.resyncs = 0
        self._frames: Counter[str] = Counter()
        self._bytes = 0
        self._latencies_ns: list[int] = []

    def on_frame(self, channel: str, size: int, received_ns: int, exchange_ms: int) -> None:
        """One frame came."""
        self._frames[channel] += 1
        self._bytes += size
        if len(self._latencies_ns) < LATENCIES_MAX:
            self._latencies_ns.append(received_ns - exchange_ms * NS_PER_MS)

    def message(self, now_ns: int, gen: int, queued_records: int) -> bytes:
        """The window's message; the next window begins."""
        latencies_ns = sorted(self._latencies_ns)
        message: dict[str, Any] = {
            "type": "connection", "subject": self.conn, "pair": "", "venue": self.venue, "market": self.market,
            "symbol": "", "window_start_ns": now_ns - WINDOW_MS * NS_PER_MS, "window_ms": WINDOW_MS,
            "frames": self._frames.total(), "bytes": self._bytes, "reconnects": self.reconnects,
            "resyncs": self.resyncs, "gen": gen, "queued_records": queued_records,
            "latency_p50_ms": _at(latencies_ns, 50), "latency_p99_ms": _at(latencies_ns, 99),
        }  # fmt: skip
        for channel, count in self._frames.items():
            FRAMES.labels(self.venue, self.market, channel).inc(count)
        self._frames, self._bytes, self._latencies_ns = Counter(), 0, []
        self.reconnects = self.resyncs = 0
        return encode_frame(message)


def _at(ordered_ns: list[int], percent: int) -> str | None:
    """A percentile in ms with three decimals at most, None of nothing."""
    if not ordered_ns:
        return None
    value = ordered_ns[min(len(ordered_ns) - 1, len(ordered_ns) * percent // 100)]
    text = f"{value / NS_PER_MS:.3f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
