"""What a producer process publishes, read by the real engine: which books lacked, and are they the true ones."""

from collections import defaultdict
from collections.abc import Callable

import msgspec

from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.exact import scaled
from mts_stream.domain.leg import Leg
from mts_stream.domain.market_data import ConnectionStatus, DepthUpdate, FundingUpdate
from mts_stream.settings import load_settings
from mts_stream.wire.codec import decode_event
from mts_stream.wire.envelope import Envelope, decode_envelope
from producers.simulator.simulator import Simulator
from tests.producers.fakes import MemorySink

BookKey = tuple[str, str, str]


class EngineWatch:
    """Told to `read`, feeds the engine with what came since, and holds each book that it calls valid to the truth.

    `lacking`: a leg, its state and the record, for each record at which a leg that was valid before is not;
    `depth`, `funding`: kind, connection and id (exchange time) of each record of a symbol, in the log's order.
    """

    def __init__(self, sink: MemorySink, simulator: Simulator) -> None:
        self.lacking: list[tuple[str, str, str]] = []
        self.compared = self.records = 0
        self.statuses: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self.depth: dict[BookKey, list[tuple[str, str, int]]] = defaultdict(list)
        self.funding: dict[BookKey, list[tuple[str, str, int]]] = defaultdict(list)
        self._engine = PartitionEngine(load_settings().economics())
        self.simulator = simulator
        self._sink, self._taken = sink, 0
        self._was_valid: set[str] = set()

    @property
    def is_whole(self) -> bool:
        """Whether every leg that is listed is valid."""
        return bool(self._legs()) and all(leg.state == "valid" for leg in self._legs())

    def read(self) -> None:
        """Take the records since the last time, one by one; then compare the books."""
        sent, self._taken = self._sink.sent[self._taken :], len(self._sink.sent)
        for topic, _, value, _, partition in sent:
            if topic == "mts.raw" and partition <= 0:
                self._take(decode_envelope(value))
        for leg in self._legs():
            if leg.state == "valid":
                self._compare(leg)

    def _legs(self) -> list[Leg]:
        return [leg for state in self._engine.pairs.values() for leg in state.engine.legs.values()]

    def _take(self, envelope: Envelope) -> None:
        event, key = decode_event(envelope), (envelope.venue, envelope.market, envelope.symbol)
        self._engine.on_event(event, self.records)
        self.records += 1
        if isinstance(event, ConnectionStatus):
            if (event.state, event.reason) == ("down", "stopped"):
                return
            self.statuses[envelope.conn].append((event.state, event.reason))
        elif isinstance(event, DepthUpdate):
            self.depth[key].append((envelope.kind, envelope.conn, event.last_id))
        elif isinstance(event, FundingUpdate):
            frame = msgspec.json.decode(envelope.frame)
            self.funding[key].append((envelope.kind, envelope.conn, frame.get("E") or frame["ts"]))
        self._look(envelope)

    def _look(self, envelope: Envelope) -> None:
        for leg in self._legs():
            name = f"{leg.name} {leg.instrument.symbol}"
            if leg.state == "valid":
                self._was_valid.add(name)
            elif name in self._was_valid:
                self.lacking.append((name, leg.state, f"{envelope.conn} {envelope.kind}"))

    def _compare(self, leg: Leg) -> None:
        instrument, book = leg.instrument, leg.book.book
        low, high = book.lowest_bid, book.highest_ask
        try:
            true = self.simulator.true_book(instrument.venue, instrument.market, instrument.symbol, leg.book.sequence)
        except LookupError:  # older than the simulator remembers
            return
        assert book.bids.sizes == _known(true.bids, lambda price: low is None or price >= low), leg.name
        assert book.asks.sizes == _known(true.asks, lambda price: high is None or price <= high), leg.name
        self.compared += 1


def _known(levels: list[tuple[str, str]], is_known: Callable[[int], bool]) -> dict[int, int]:
    return {scaled(price): scaled(size) for price, size in levels if is_known(scaled(price))}
