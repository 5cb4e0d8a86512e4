"""Funding of one symbol: frames to the log, and keyframes where the venue sends only what changed."""

from typing import Any

from mts_stream.exchanges.venue import FundingFrame, VenueMarket
from producers.records import RecordWriter


class TickerFeed:
    """Writes funding frames; keeps the merged ticker of a venue that sends it in parts."""

    def __init__(
        self, market: VenueMarket, symbol: str, pair: str, writer: RecordWriter, keyframe_every_ns: int
    ) -> None:
        self.symbol, self.pair = symbol, pair
        self._market, self._writer, self._keyframe_every_ns = market, writer, keyframe_every_ns
        self._merged: dict[str, Any] | None = None
        self._last: FundingFrame | None = None
        self._keyframe_due_ns = 0
        self._is_fresh = False

    @property
    def has_spoken(self) -> bool:
        """Whether anything came since the connection opened."""
        return self._last is not None

    def reset(self) -> None:
        """The connection was lost: deltas say nothing until a snapshot comes (exchanges.md 7.17)."""
        self._merged = self._last = None
        self._is_fresh = False

    def on_frame(self, frame: FundingFrame, received_ns: int) -> None:
        """Take one frame."""
        self._writer.record("funding", "frame", self.symbol, self.pair, received_ns, frame.frame)
        if self._last is None:
            self._keyframe_due_ns = received_ns + self._keyframe_every_ns
        self._last, self._is_fresh = frame, True
        if not self._market.funding_in_parts or frame.changed is None:
            return
        if frame.replaces:
            self._merged = frame.changed
        elif self._merged is not None:
            self._merged.update(frame.changed)

    def on_second(self, now_ns: int) -> None:
        """Write the keyframe when it is due, and only if a frame came since the last one."""
        if self._merged is None or self._last is None or not self._is_fresh or now_ns < self._keyframe_due_ns:
            return
        last = self._last
        keyframe = self._market.funding_keyframe(self.symbol, self._merged, last.exchange_ms, last.cross_sequence)
        self._writer.record("funding", "keyframe", self.symbol, self.pair, now_ns, keyframe)
        self._keyframe_due_ns, self._is_fresh = now_ns + self._keyframe_every_ns, False
