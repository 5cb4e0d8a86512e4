"""Lines of a third-party capture into records of ours, by the same book that follows a live venue."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from mts_stream.domain.instrument import Instrument, PairListing
from mts_stream.errors import CaptureError
from mts_stream.exchanges.registry import encode_listing
from mts_stream.exchanges.venue import DepthFrame, FundingFrame
from mts_stream.wire.envelope import REGISTRY_MARKET, REGISTRY_VENUE, encode_envelope
from producers.book_feed import NS_PER_S, BookFeed
from producers.feeds import ALIVE_NS_MAX
from producers.importers.source import Contents, Dropped, RestBody, SourceLine, finest_step, pair_of
from producers.records import RecordWriter

REGISTRY_EVERY_NS = 60 * NS_PER_S
RANGE_EDGE = 0.9

Write = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Listed:
    """What the registry record says and a capture does not; None is worked out from the first whole book."""

    pair: str | None = None
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None
    min_notional: Decimal = Decimal(0)
    funding_interval_hours: int | None = None


def listing_of(contents: Contents, listed: Listed) -> PairListing:
    """The pair with its one leg; raises CaptureError where the symbol does not say the pair."""
    market, symbol = contents.market, contents.symbol
    known = pair_of(market.venue, symbol)
    if known is None and listed.pair is None:
        raise CaptureError(f"{symbol} does not say its pair; add --pair, such as BTC-USDT")
    pair, multiplier = known or ("", 1)
    levels = [*contents.bids, *contents.asks]
    try:
        reference_price = Decimal(contents.bids[0][0] if contents.bids else 0)
    except InvalidOperation as error:
        raise CaptureError(f"{symbol}: the first book's best bid {contents.bids[0][0]!r} is no number") from error
    leg = Instrument(
        venue=market.venue,
        market=market.market,
        symbol=symbol,
        multiplier=Decimal(multiplier),
        tick_size=listed.tick_size or finest_step(price for price, _ in levels),
        lot_size=listed.lot_size or finest_step(size for _, size in levels),
        min_notional=listed.min_notional,
        funding_interval_hours=listed.funding_interval_hours,
        fee_group="default",
        status="trading",
        reference_price=reference_price,
    )
    return PairListing(listed.pair or pair, None, (leg,))


@dataclass
class Tally:
    """What became of every line, and what was written."""

    lines: int = 0
    taken: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)
    without_book: int = 0
    resyncs: int = 0
    snapshots_unfit: int = 0
    times_raised: int = 0
    range_used_up_s: int = 0
    first_ns: int = 0
    last_ns: int = 0

    def as_json(self) -> dict[str, Any]:
        """For programs; `lines` is the sum of `taken` and `dropped`.

        `range_used_up_s`: seconds in which the market stood outside what the file's snapshots know of the book, so
        that a replay shows it as `exhausted`.
        """
        return {
            "lines": self.lines,
            "taken": dict(sorted(self.taken.items())),
            "dropped": dict(sorted(self.dropped.items())),
            "records": sum(self.records.values()),
            "by_kind": dict(sorted(self.records.items())),
            "frames_without_book": self.without_book,
            "resyncs": self.resyncs,
            "snapshots_unfit": self.snapshots_unfit,
            "times_raised": self.times_raised,
            "range_used_up_s": self.range_used_up_s,
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
        }


class Assembler:
    """Told each line, writes what the producers would have written: registry, status, frames, snapshots, keyframes.

    `received_ns` never goes back: an earlier time is raised to the last (`times_raised`). `alive` comes every second
    in which the file shows that the connection lived, and so does a keyframe when it is due.
    """

    def __init__(
        self, contents: Contents, listing: PairListing, source: str, keyframe_interval_s: float, write: Write
    ) -> None:  # fmt: skip
        self.tally = Tally()
        self._listing, self._source, self._write = listing, source, write
        market = contents.market
        conn = f"{market.venue}-{market.market}-{source}"
        self._writer = RecordWriter(self, conn, market.venue, market.market, "depth", partitions=1)
        self._book = BookFeed(
            market, contents.symbol, listing.pair, self._writer, lambda _: None, int(keyframe_interval_s * NS_PER_S)
        )
        self._gen = self._registry_seq = 0
        self._now_ns = self._heard_ns = self._second_due_ns = self._registry_due_ns = 0

    def send(self, topic: str, key: bytes, value: bytes, kind: str, partition: int = -1, *, must: bool = False) -> bool:
        """Be the writer's outlet: one capture, in order."""
        self.tally.records[kind] += 1
        self._write(value)
        return True

    def assemble(self, lines: Iterable[SourceLine]) -> None:
        """Take every line."""
        for line in lines:
            self.on_line(line)

    def on_line(self, line: SourceLine) -> None:
        """Take a line."""
        self.tally.lines += 1
        content = line.content
        if line.received_ns:
            self._move_time(line.received_ns)
        if isinstance(content, Dropped):
            self.tally.dropped[content.kind] += 1
            if not content.is_traffic:
                return
        elif isinstance(content, RestBody):
            self._on_snapshot(content)
            return
        else:
            self._on_frame(content)
        self._heard_ns = self._now_ns

    def _on_frame(self, frame: DepthFrame | FundingFrame) -> None:
        if isinstance(frame, FundingFrame):
            self.tally.taken["funding"] += 1
            self._writer.record("funding", "frame", frame.symbol, self._listing.pair, self._now_ns, frame.frame)
            return
        self.tally.taken["depth"] += 1
        self._book.on_frame(frame, self._now_ns)
        self.tally.resyncs = self._book.resyncs
        self.tally.without_book += not self._book.is_synced

    def _on_snapshot(self, answer: RestBody) -> None:
        self.tally.taken["snapshot"] += 1
        keyframes = self.tally.records["keyframe"]
        self._book.keep_frames(True)  # who recorded the file asked for it, on the file's one connection
        self._book.on_snapshot(answer.snapshot, answer.body, self._now_ns)
        self.tally.snapshots_unfit += self.tally.records["keyframe"] == keyframes
        self.tally.resyncs = self._book.resyncs

    def _move_time(self, received_ns: int) -> None:
        if not self._now_ns:
            self._begin(received_ns)
        self.tally.times_raised += received_ns < self._now_ns
        received_ns = max(received_ns, self._now_ns)
        while self._second_due_ns <= received_ns:
            self._on_second(self._second_due_ns)
            self._second_due_ns += NS_PER_S
            if self._second_due_ns - self._heard_ns > ALIVE_NS_MAX:  # nothing is said of a silence
                self._second_due_ns = max(self._second_due_ns, received_ns)
                break
        self._now_ns = self.tally.last_ns = received_ns

    def _begin(self, now_ns: int) -> None:
        self._now_ns = self._heard_ns = self.tally.first_ns = now_ns
        self._gen = now_ns // 1_000_000
        self._second_due_ns = now_ns + NS_PER_S
        self._register(now_ns)
        self._writer.open(self._gen)
        self._writer.status("up", "", now_ns)

    def _on_second(self, now_ns: int) -> None:
        if now_ns - self._heard_ns <= ALIVE_NS_MAX:
            self._writer.status("alive", "", now_ns)
        if now_ns >= self._registry_due_ns:
            self._register(now_ns)
        self._book.on_second(now_ns)
        self.tally.resyncs = self._book.resyncs
        self._watch_range(now_ns)

    def _watch_range(self, now_ns: int) -> None:
        """No fresh snapshot will come: near its edge a keyframe a second ends a replay's `exhausted` on return."""
        used = self._book.book.health().range_used if self._book.is_synced else 0.0
        self.tally.range_used_up_s += used >= 1
        if RANGE_EDGE <= used < 1:
            self._book.refresh(now_ns)

    def _register(self, now_ns: int) -> None:
        self._registry_seq += 1
        self._registry_due_ns = now_ns + REGISTRY_EVERY_NS
        pair = self._listing.pair
        self.tally.records["registry"] += 1
        value = encode_envelope(
            venue=REGISTRY_VENUE, market=REGISTRY_MARKET, channel="instruments", kind="registry", symbol=pair,
            pair=pair, received_ns=now_ns, conn=f"registry-{self._source}", gen=self._gen, seq=self._registry_seq,
            frame=encode_listing(self._listing),
        )  # fmt: skip
        self._write(value)
