"""A reader of the raw log that knows the rules of DESIGN sections 3 and 4: what it finds wrong has a name."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from mts_stream.domain.market_data import (
    AuditRecord,
    ConnectionStatus,
    DepthUpdate,
    FundingUpdate,
    Origin,
    RegistryUpdate,
)
from mts_stream.exchanges import MARKETS
from mts_stream.exchanges.venue import DepthFrame
from mts_stream.wire.codec import decode_record
from mts_stream.wire.kafka import Record

BookKey = tuple[str, str, str]
_MARKETS = {(market.venue, market.market): market for market in MARKETS}


@dataclass
class _Book:
    last_id: int
    gen: int
    is_first: bool = True
    is_valid: bool = True


@dataclass
class LogReport:
    """What stands in a log: counts, gaps by book, statuses by connection, keyframes."""

    records: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    outcomes: dict[BookKey, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    statuses: dict[str, list[tuple[str, str, int, int]]] = field(default_factory=lambda: defaultdict(list))
    keyframes: list[DepthUpdate] = field(default_factory=list)
    fundings: Counter[BookKey] = field(default_factory=Counter)
    generations: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))


class LogReader:
    """Reads records of all partitions and fills a report."""

    def __init__(self) -> None:
        self.report = LogReport()
        self._books: dict[BookKey, _Book] = {}
        self._known: set[str] = set()
        self._numbers: dict[tuple[int, str], tuple[int, int]] = {}
        self._times: dict[tuple[int, str], int] = {}

    def read(self, record: Record) -> None:
        """Take a record; what cannot be decoded raises BadRecordError."""
        event = decode_record(record.value)
        self.report.records += 1
        self._check_order(record.partition, event.origin)
        if isinstance(event, RegistryUpdate):
            self._known.add(event.listing.pair)
        elif isinstance(event, ConnectionStatus):
            if record.partition == 0:
                status = event.state, event.reason, event.origin.gen, event.origin.received_ns
                self.report.statuses[event.origin.conn].append(status)
        elif event.origin.pair not in self._known:
            self.report.wrong["record before the registry's"] += 1
        elif isinstance(event, DepthUpdate):
            self._depth(event)
        elif isinstance(event, FundingUpdate):
            self.report.fundings[_key(event.origin)] += 1
        else:
            assert isinstance(event, AuditRecord)

    def _check_order(self, partition: int, origin: Origin) -> None:
        where, number = (partition, origin.conn), (origin.gen, origin.seq)
        if number <= self._numbers.get(where, (0, 0)):
            self.report.wrong["number not above the last"] += 1
        if origin.received_ns < self._times.get(where, 0):
            self.report.wrong["time went back"] += 1
        self._numbers[where], self._times[where] = number, origin.received_ns
        generations = self.report.generations[origin.conn]
        if partition == 0 and (not generations or generations[-1] != origin.gen):
            generations.append(origin.gen)

    def _depth(self, event: DepthUpdate) -> None:
        key, outcomes = _key(event.origin), self.report.outcomes[_key(event.origin)]
        book = self._books.get(key)
        if event.replaces:
            if event.is_keyframe:
                self.report.keyframes.append(event)
                if book and book.is_valid and book.gen == event.origin.gen and event.last_id < book.last_id:
                    self.report.wrong["keyframe behind its book"] += 1
            outcomes["keyframe" if event.is_keyframe else "snapshot"] += 1
            self._books[key] = _Book(event.last_id, event.origin.gen)
        elif book is None or not book.is_valid or book.gen != event.origin.gen:
            outcomes["unsynced"] += 1
        else:
            verdict = _MARKETS[key[:2]].follows(_header(event), book.last_id, book.is_first)
            outcomes[verdict] += 1
            book.is_valid = verdict != "gap"
            if verdict == "applies":
                book.last_id, book.is_first = event.last_id, False


def _key(origin: Origin) -> BookKey:
    return origin.venue, origin.market, origin.symbol


def _header(event: DepthUpdate) -> DepthFrame:
    none: object = None
    return DepthFrame(
        event.origin.symbol, none, False, event.last_id, none, none, 0, event.first_id or 0, event.previous_id
    )  # type: ignore[arg-type]
