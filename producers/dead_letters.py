"""What a venue sent and nobody understands: all of it counted, a bounded part of it kept with its bytes.

A venue that sends garbage sends much of it. Of each second the first KEPT_PER_S messages of a connection go to
`mts.dlq`; the rest is counted, in the metric and in a line of the log that says how many were not kept.
"""

from mts_stream.logs import get_logger
from mts_stream.metrics import DEAD_LETTERS
from mts_stream.wire import topics
from mts_stream.wire.codec import dead_letter
from producers.records import Outlet

KEPT_PER_S = 10

log = get_logger(__name__)


class DeadLetters:
    """The dead letters of one connection; told when a second has passed."""

    def __init__(self, outlet: Outlet, venue: str, conn: str) -> None:
        self._outlet, self._venue, self._conn = outlet, venue, conn
        self._kept = self._left_out = 0

    def keep(self, reason: str, detail: str, message: bytes) -> None:
        """Count a message, and hand it to the outlet while this second's share lasts."""
        DEAD_LETTERS.labels("producer", reason).inc()
        letter = self._letter(reason, detail, message) if self._kept < KEPT_PER_S else None
        if letter and self._outlet.send(topics.DEAD_LETTERS, self._conn.encode(), letter, "dead_letter"):
            self._kept += 1
        else:
            self._left_out += 1

    def on_second(self) -> None:
        """Say what was left out, and begin anew."""
        if self._left_out:
            log.error("messages that nobody understands", conn=self._conn, kept=self._kept, counted_only=self._left_out)
        self._kept = self._left_out = 0

    def _letter(self, reason: str, detail: str, message: bytes) -> bytes:
        return dead_letter(
            origin="producer", reason=reason, detail=detail, topic=None, partition=None, offset=None,
            venue=self._venue, stream=self._conn, payload=message,
        )  # fmt: skip
