"""What one connection writes to the raw log: envelopes with its name, generation and running number."""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from msgspec import Raw

from mts_stream.domain.market_data import ConnectionState, KnownRange
from mts_stream.wire.envelope import EnvelopeHead, encode_envelope, encode_frame, envelope_source
from mts_stream.wire.topics import RAW


class Outlet(Protocol):
    """Where records go: the publisher, or a list in a test."""

    def send(self, topic: str, key: bytes, value: bytes, kind: str, partition: int = -1, *, must: bool = False) -> bool:
        """Hand a record over; False where there is no room for it."""


class RecordSink(Outlet, Protocol):
    """What a producer process publishes into: Kafka, or files."""

    lost: int

    @property
    def confirmed(self) -> Counter[str]:
        """Records that have arrived, by kind."""

    @property
    def queued_records(self) -> int:
        """Records taken and not confirmed yet."""

    @property
    def stalled_s(self) -> float:
        """How long the queue has been full; 0 while it is not."""

    @property
    def has_room(self) -> bool:
        """Whether it is worth connecting."""

    def count(self) -> None:
        """Bring the metrics up to date."""

    async def run(self) -> None:
        """Serve until cancelled."""

    async def flush(self, timeout_s: float) -> int:
        """Wait until everything is confirmed; returns how many records are not."""


class RecordWriter:
    """Numbers and writes the records of one connection; writes nothing while the connection is not open.

    A record that finds no room closes the writer and is told to `on_refused`: after a hole nothing of that
    generation may follow.
    """

    def __init__(self, outlet: Outlet, conn: str, venue: str, market: str, channel: str, partitions: int) -> None:
        self.conn, self.venue, self.market = conn, venue, market
        self.gen = self.seq = 0
        self.is_open = False
        self.on_refused: Callable[[], None] | None = None
        self._outlet, self._channel, self._partitions = outlet, channel, partitions
        self._source = b""

    def open(self, gen: int) -> None:
        """A new generation begins."""
        self.gen, self.seq, self.is_open = gen, 0, True
        self._source = envelope_source(self.conn, gen)

    def close(self, reason: str, now_ns: int) -> None:
        """Say `down` to every partition, if the connection was open, room or not."""
        if self.gen and self.is_open:
            self._status("down", reason, now_ns, must=True)
        self.is_open = False

    def status(self, state: ConnectionState, reason: str, now_ns: int) -> None:
        """Say `up` or `alive` to every partition."""
        if self.is_open:
            self._status(state, reason, now_ns, must=False)

    def frames(self, channel: str, symbol: str, pair: str) -> Callable[[int, bytes | Raw], None]:
        """The way for one book's frames: takes when one came and its bytes; `record`, but fast."""
        head = EnvelopeHead(
            venue=self.venue, market=self.market, channel=channel, kind="frame", symbol=symbol, pair=pair
        )  # fmt: skip
        key, encode, send = pair.encode(), head.encode, self._outlet.send

        def write(received_ns: int, frame: bytes | Raw) -> None:
            if not self.is_open:
                return
            self.seq = seq = self.seq + 1
            if not send(RAW, key, encode(received_ns, self._source, seq, frame), "frame"):
                self._refused()

        return write

    def record(
        self, channel: str, kind: str, symbol: str, pair: str, received_ns: int, frame: bytes | Raw,
        known_range: KnownRange | None = None,
    ) -> None:  # fmt: skip
        """Write one record of a pair."""
        if not self.is_open:
            return
        value = self._envelope(channel, kind, symbol, pair, received_ns, bytes(frame), known_range)
        if not self._outlet.send(RAW, pair.encode(), value, kind):
            self._refused()

    def _status(self, state: ConnectionState, reason: str, now_ns: int, *, must: bool) -> None:
        frame = encode_frame({"state": state, "reason": reason})
        value = self._envelope(self._channel, "status", "", "", now_ns, frame, None)
        for partition in range(self._partitions):
            if not self._outlet.send(RAW, b"", value, "status", partition, must=must):
                self._refused()
                return

    def _envelope(
        self, channel: str, kind: str, symbol: str, pair: str, received_ns: int, frame: bytes,
        known_range: KnownRange | None,
    ) -> bytes:  # fmt: skip
        self.seq += 1
        return encode_envelope(
            venue=self.venue, market=self.market, channel=channel, kind=kind, symbol=symbol, pair=pair,
            received_ns=received_ns, conn=self.conn, gen=self.gen, seq=self.seq, frame=frame, known_range=known_range,
        )  # fmt: skip

    def _refused(self) -> None:
        if self.on_refused is not None:
            self.on_refused()
