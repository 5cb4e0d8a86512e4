"""An engine that is told a log record by record and remembers, per leg, which records its state rests on."""

from dataclasses import dataclass, field

from mts_stream.domain.direction import Direction
from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.engine import Handled, PartitionEngine
from mts_stream.domain.evaluation import MissingFeeError
from mts_stream.domain.leg import Leg
from mts_stream.domain.market_data import DepthUpdate, FundingUpdate, MarketEvent
from mts_stream.domain.pair_engine import PairEngine
from mts_stream.errors import BadRecordError, SettingsError
from mts_stream.wire.codec import decode_event
from mts_stream.wire.envelope import Envelope, decode_envelope


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record of the log."""

    offset: int
    envelope: Envelope
    size_bytes: int


@dataclass(slots=True)
class LegNotes:
    """What a leg's state rests on: the record applied last, the last full book, the last funding; and since when."""

    applied: RawRecord | None = None
    full_book: RawRecord | None = None
    funding: RawRecord | None = None
    state: str = ""
    since_ns: int = 0
    changed_by: RawRecord | None = None


@dataclass
class Follower:
    """Handles the records of a log: of one pair with all status records, or of all pairs."""

    settings: EconomicSettings
    pair: str | None = None
    notes: dict[str, LegNotes] = field(default_factory=dict)  # of the one pair's legs

    def __post_init__(self) -> None:
        self.engine = PartitionEngine(self.settings)

    def take(self, offset: int, value: bytes) -> Handled | None:
        """Handle a record; None for one of another pair and for a dead letter. Raises SettingsError."""
        try:
            envelope = decode_envelope(value)
            if self.pair is not None and envelope.pair not in ("", self.pair):
                return None
            event = decode_event(envelope)
            handled = self.engine.on_event(event, offset)
        except BadRecordError:
            return None
        except MissingFeeError as error:
            raise SettingsError(str(error.args[0])) from error
        self.engine.clock.forget_before(offset)
        if self.pair is not None:
            self._note(event, RawRecord(offset, envelope, len(value)))
        return handled

    def pair_engine(self, pair: str) -> PairEngine | None:
        """The engine of a pair, once the registry has named it."""
        state = self.engine.pairs.get(pair)
        return None if state is None else state.engine

    def direction(self, pair: str, name: str) -> Direction | None:
        """A direction of a pair, once both legs are listed."""
        engine = self.pair_engine(pair)
        return None if engine is None else engine.directions.get(name)

    def _note(self, event: MarketEvent, record: RawRecord) -> None:
        engine = self.pair_engine(self.pair or "")
        for name, leg in engine.legs.items() if engine is not None else ():
            notes = self.notes.setdefault(name, LegNotes())
            if engine is not None and leg.state != notes.state:
                notes.state, notes.since_ns, notes.changed_by = leg.state, engine.event_time_ns, record
            if name == f"{event.origin.venue}:{event.origin.market}":
                _note_own(notes, leg, event, record)


def _note_own(notes: LegNotes, leg: Leg, event: MarketEvent, record: RawRecord) -> None:
    """A record of the leg itself: which of its state it made."""
    if isinstance(event, FundingUpdate):
        notes.funding = record
    elif isinstance(event, DepthUpdate):
        if leg.book.applied_id == event.origin.message_id:
            notes.applied = record
        # a keyframe that only confirms the book is applied nowhere, and yet the book can be rebuilt from it
        if event.replaces and leg.book.is_ours(event.origin) and leg.book.sequence == event.last_id:
            notes.full_book = record


class EvaluationWatch:
    """Tells whether a direction was evaluated since it was last asked, from the direction's own ledger."""

    def __init__(self, direction: Direction) -> None:
        self._direction = direction
        self._seen = (direction.window.outcomes, 0)

    def evaluated(self) -> bool:
        """Ask after each record."""
        window = self._direction.window
        outcomes, count = self._seen
        before = count if window.outcomes is outcomes else 0  # a window that closed began a new ledger
        self._seen = (window.outcomes, window.evaluations)
        return window.evaluations > before
