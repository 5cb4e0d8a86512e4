"""Funding of one symbol: frames to the log, and keyframes where the venue sends only what changed.

While a connection is changed there are two of a ticker; the new one is silent until it knows what the old one has
written, so that nothing is written twice.
"""

from typing import Any

from mts_stream.exchanges.venue import FundingFrame, VenueMarket
from producers.records import RecordWriter
from producers.stillness import LAG_NS_MAX, QUIET_NS, Stillness


class TickerFeed:
    """Writes funding frames; keeps the merged ticker of a venue that sends it in parts."""

    def __init__(
        self, market: VenueMarket, symbol: str, pair: str, writer: RecordWriter, keyframe_every_ns: int
    ) -> None:
        self.symbol, self.pair = symbol, pair
        self._market, self._writer, self._keyframe_every_ns = market, writer, keyframe_every_ns
        self._write_frame = writer.frames("funding", symbol, pair)
        self._merged: dict[str, Any] | None = None
        self._last: FundingFrame | None = None
        self._keyframe_due_ns = 0
        self._is_fresh = False
        self._is_silent = False
        self._leader: TickerFeed | None = None  # the same ticker on the connection that is being left
        self._lag, self._quiet = Stillness(), Stillness()

    @property
    def has_spoken(self) -> bool:
        """Whether anything came since the connection opened."""
        return self._last is not None

    @property
    def is_following(self) -> bool:
        """Whether the same ticker on another connection still speaks in its place."""
        return self._leader is not None

    def reset(self) -> None:
        """The connection was lost: deltas say nothing until a snapshot comes (exchanges.md 7.17)."""
        self._merged = self._last = None
        self._is_fresh = False
        self._lag.forget()
        self._quiet.forget()

    def follow(self, leader: "TickerFeed") -> None:
        """Write nothing until this ticker knows what the leader's does."""
        self._leader, self._is_silent = leader, True

    def take_rest(self, now_ns: int) -> None:
        """The leader's connection is lost: go on with what is known here."""
        if self._leader is not None:
            self._lead(self._leader, now_ns)

    def on_frame(self, frame: FundingFrame, received_ns: int) -> None:
        """Take one frame."""
        if self._last is None:
            self._keyframe_due_ns = received_ns + self._keyframe_every_ns
        self._last, self._is_fresh = frame, True
        self._merge(frame)
        if not self._is_silent:
            self._write_frame(received_ns, frame.frame)
        elif self._leader is not None:
            self._try_to_lead(received_ns)

    def on_second(self, now_ns: int) -> None:
        """Write the keyframe when it is due, and only if a frame came since the last one."""
        if self._is_silent:
            self._wait_on(now_ns)
        elif self._is_fresh and now_ns >= self._keyframe_due_ns:
            self._keyframe(now_ns)

    def _merge(self, frame: FundingFrame) -> None:
        if not self._market.funding_in_parts or frame.changed is None:
            return
        if frame.replaces:
            self._merged = frame.changed
        elif self._merged is not None:
            self._merged.update(frame.changed)

    def _try_to_lead(self, now_ns: int) -> None:
        """Lead once this ticker is as new as the leader's last word, or, where that does not come, after a while."""
        leader, last = self._leader, self._last
        if leader is None or last is None or (self._market.funding_in_parts and self._merged is None):
            return
        is_level = leader._last is None or last.exchange_ms >= leader._last.exchange_ms
        if is_level or self._lag.lasted_ns(leader, now_ns) >= LAG_NS_MAX:
            self._lead(leader, now_ns)

    def _is_newer_than(self, leader: "TickerFeed") -> bool:
        if self._last is None:
            return False
        return leader._last is None or self._last.exchange_ms > leader._last.exchange_ms

    def _lead(self, leader: "TickerFeed", now_ns: int) -> None:
        self._leader, self._is_silent, leader._is_silent = None, False, True
        if self._market.funding_in_parts:
            self._keyframe(now_ns)
        elif self._last is not None and self._is_newer_than(leader):
            self._writer.record("funding", "frame", self.symbol, self.pair, now_ns, self._last.frame)

    def _wait_on(self, now_ns: int) -> None:
        """A ticker that says nothing on either connection has nothing newer to wait for."""
        leader = self._leader
        if leader is None:
            return
        said = (self._last and self._last.exchange_ms, leader._last and leader._last.exchange_ms)
        if self._quiet.lasted_ns(said, now_ns) >= QUIET_NS:
            self._lead(leader, now_ns)
        else:
            self._try_to_lead(now_ns)

    def _keyframe(self, now_ns: int) -> None:
        if self._merged is None or self._last is None:
            return
        last = self._last
        keyframe = self._market.funding_keyframe(self.symbol, self._merged, last.exchange_ms, last.cross_sequence)
        self._writer.record("funding", "keyframe", self.symbol, self.pair, now_ns, keyframe)
        self._keyframe_due_ns, self._is_fresh = now_ns + self._keyframe_every_ns, False
