"""At which record of a log a signal was sent, or a direction was last evaluated."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.messages import ArbitrageClosed, OpportunityMessage, SignalMessage
from mts_stream.errors import UsageError
from mts_stream.explain.following import EvaluationWatch, Follower
from mts_stream.explain.logs import Log

UUID_CHARS = 36


@dataclass(frozen=True, slots=True)
class Event:
    """A signal and the record that led to it."""

    offset: int
    message: SignalMessage


@dataclass(slots=True)
class Found:
    """The events of what was asked for, up to the one that is meant; `open_offset` is its last open evaluation.

    What was searched: so many records, signals in them, and the event times of the first and the last signal.
    """

    events: list[Event] = field(default_factory=list)
    meant: Event | None = None
    open_offset: int | None = None
    records: int = 0
    signals: int = 0
    first_ns: int | None = None
    last_ns: int | None = None


def subject_of(wanted: str) -> str:
    """What all events of one opportunity share: the id without the event's number."""
    return wanted[:UUID_CHARS]


def find_signal(log: Log, wanted: str, settings: EconomicSettings, on_record: Callable[[], None]) -> Found:
    """The signal with an id, or of an opportunity the first event and all others; `meant` is None without one."""
    search = _Search(wanted, settings)
    for offset, value in log.records():
        on_record()
        search.found.records += 1
        handled = search.follower.take(offset, value)
        if handled is not None and search.is_over(offset, handled.messages):
            break
    return search.found


class _Search:
    def __init__(self, wanted: str, settings: EconomicSettings) -> None:
        self.follower = Follower(settings)
        self.found = Found()
        self._wanted, self._subject = wanted, subject_of(wanted)
        self._last_terms: object = None

    def is_over(self, offset: int, messages: Iterable[object]) -> bool:
        """Note what a record led to; says whether nothing more can come."""
        for message in messages:
            if isinstance(message, SignalMessage):
                self._count(message)
                if message.id.startswith(self._subject) and self._is_last(Event(offset, message)):
                    return True
        if self.found.meant is None:
            self._note_open(offset)
        return False

    def _count(self, message: SignalMessage) -> None:
        found = self.found
        found.signals += 1
        found.first_ns = message.event_time_ns if found.first_ns is None else found.first_ns
        found.last_ns = message.event_time_ns

    def _is_last(self, event: Event) -> bool:
        message = event.message
        self.found.events.append(event)
        if self.found.meant is None and self._wanted in (message.id, self._subject):
            self.found.meant = event
            if self._wanted == message.id:
                return True
        return message.type.endswith("closed") or not isinstance(message, OpportunityMessage)

    def _note_open(self, offset: int) -> None:
        """Remember the last evaluation that was a signal: a `closed` repeats its amounts."""
        if not self.found.events:
            return
        message = self.found.events[0].message
        direction = self.follower.direction(message.pair, getattr(message, "direction", ""))
        opportunity = None if direction is None else direction.opportunity
        if opportunity is not None and opportunity.id == self._subject and opportunity.terms is not self._last_terms:
            self._last_terms = opportunity.terms
            self.found.open_offset = offset


def looks_of(found: Found) -> list[int]:
    """The records after which to look: of a `closed` also the last open evaluation, whose amounts it repeats."""
    assert found.meant is not None, "only what was found"
    if isinstance(found.meant.message, ArbitrageClosed) and found.open_offset is not None:
        return [found.open_offset, found.meant.offset]
    return [found.meant.offset]


@dataclass(slots=True)
class Evaluated:
    """The record that led to a direction's last evaluation up to a time, and the event time of its first."""

    offset: int | None = None
    first_ns: int | None = None
    listed: bool = False


def find_evaluation(log: Log, pair: str, direction: str, at_ns: int, settings: EconomicSettings) -> Evaluated:
    """The direction's last evaluation at or before an event time; without one, where its first is, if anywhere.

    Raises UsageError where the pair has no such direction.
    """
    follower, watch, last = Follower(settings, pair), None, Evaluated()
    for offset, value in log.records():
        engine = follower.pair_engine(pair) if follower.take(offset, value) is not None else None
        if engine is None:
            continue
        if watch is None and direction in engine.directions:
            watch = EvaluationWatch(engine.directions[direction])
        if watch is not None and watch.evaluated():
            last.first_ns = last.first_ns or engine.event_time_ns
            last.offset = offset if engine.event_time_ns <= at_ns else last.offset
        if engine.event_time_ns > at_ns and last.first_ns is not None:
            break
    engine = follower.pair_engine(pair)
    last.listed = engine is not None
    if engine is not None and direction not in engine.directions:
        known = ", ".join(engine.directions) or "none: see ROUTES and the registry"
        raise UsageError(f"--direction {direction}: {pair} has no such direction; it has {known}")
    return last
