"""The log read again up to the records that matter, and the engine looked into there."""

import re
from dataclasses import dataclass, field, fields, is_dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.evaluation import MissingFeeError
from mts_stream.domain.explanation import Explanation, explain
from mts_stream.domain.messages import ArbitrageMessage, SignalMessage
from mts_stream.errors import SettingsError
from mts_stream.explain.finding import Event, Found, looks_of
from mts_stream.explain.following import Follower, LegNotes, RawRecord
from mts_stream.explain.logs import Log
from mts_stream.wire.codec import encode_message
from mts_stream.wire.envelope import decode_envelope

FRAME_CHARS = 200


@dataclass(frozen=True, slots=True)
class RecordView:
    """A raw record: where it stands, its envelope, and the beginning of its frame."""

    place: str
    offset: int
    message_id: str
    channel: str
    kind: str
    received_ns: int
    size_bytes: int
    frame: str


@dataclass(frozen=True, slots=True)
class LegRecords:
    """The raw records that a leg's state rests on, and since when it shows its state."""

    leg: str
    applied: RecordView | None
    full_book: RecordView | None
    funding: RecordView | None
    state: str
    state_since_ns: int
    state_changed_by: RecordView | None


@dataclass(frozen=True, slots=True)
class Look:
    """What the engine saw after a record."""

    record: RecordView
    evaluation: Explanation
    legs: list[LegRecords]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A message as recomputed and as sent; `differences` name the fields, `emitted_ns` apart. Empty: byte for byte."""

    recomputed: str
    sent: str | None
    equal: bool | None
    differences: list[str]


@dataclass(slots=True)
class Answer:
    """Everything that explains a signal or a refusal; `ending` is the evaluation that closed what is explained.

    A signal that is judged at a window's end has no evaluation of its own: `look` shows the direction's state then. One
    about a single leg has no look either, only the record that it names.
    """

    asked: str
    log: str
    pair: str
    direction: str
    signal_type: str | None
    events: list[dict[str, Any]]
    look: Look | None
    ending: Look | None = None
    record: RecordView | None = None
    message: Comparison | None = None
    notes: list[str] = field(default_factory=list)


def look_at(log: Log, pair: str, direction: str, offsets: list[int], settings: EconomicSettings) -> list[Look]:
    """Run the pair's records up to each offset, in rising order, and look into the engine there."""
    follower, looks, left = Follower(settings, pair), [], list(offsets)
    for offset, value in log.records():
        handled = follower.take(offset, value)
        if offset < left[0]:
            continue
        assert offset == left[0] and handled is not None, f"{log.place(left[0])} was handled before"
        looks.append(_look(log, follower, direction, _raw(offset, value)))
        left.pop(0)
        if not left:
            break
    return looks


def look_before(
    log: Log, message: SignalMessage, direction: str, offset: int, settings: EconomicSettings
) -> Look | None:
    """The engine as it was when a window ended: after the pair's last record before the one that ended it."""
    follower, last = Follower(settings, message.pair), None
    for number, value in log.records():
        if number >= offset:
            break
        if follower.take(number, value) is not None:
            last = _raw(number, value)
    if last is None or follower.direction(message.pair, direction) is None:
        return None
    hours = settings.funding_horizon_hours if message.type.startswith("funding") else None
    return _look(log, follower, direction, last, message.event_time_ns, hours)


def _raw(offset: int, value: bytes) -> RawRecord:
    return RawRecord(offset, decode_envelope(value), len(value))


def _look(
    log: Log, follower: Follower, name: str, record: RawRecord, at_ns: int | None = None, hours: Decimal | None = None
) -> Look:
    engine = follower.pair_engine(follower.pair or "")
    assert engine is not None, "the record was handled before"
    direction = engine.directions[name]
    legs = [_records(log, leg.name, follower.notes[leg.name]) for leg in (direction.buy, direction.sell)]
    try:
        seen = explain(engine, direction, at_ns, hours)
    except MissingFeeError as error:  # a book that is not valid was refused before its fee was asked for
        raise SettingsError(str(error.args[0])) from error
    return Look(_view(log, record), seen, legs)


def _records(log: Log, leg: str, notes: LegNotes) -> LegRecords:
    applied, full_book, funding, changed_by = (
        None if record is None else _view(log, record)
        for record in (notes.applied, notes.full_book, notes.funding, notes.changed_by)
    )
    return LegRecords(leg, applied, full_book, funding, notes.state, notes.since_ns, changed_by)


def _view(log: Log, record: RawRecord) -> RecordView:
    envelope = record.envelope
    frame = bytes(envelope.frame).decode(errors="replace")
    shown = frame if len(frame) <= FRAME_CHARS else f"{frame[:FRAME_CHARS]}... ({len(frame)} characters)"
    return RecordView(
        log.place(record.offset), record.offset, envelope.message_id, envelope.channel, envelope.kind,
        envelope.received_ns, record.size_bytes, shown,
    )  # fmt: skip


def answer_signal(asked: str, log: Log, found: Found, sent: dict[str, bytes], settings: EconomicSettings) -> Answer:
    """What was found of a signal, taken apart, and held against what was sent."""
    assert found.meant is not None, "only what was found"
    offset, message = found.meant.offset, found.meant.message
    direction = getattr(message, "direction", "")
    answer = Answer(asked, log.name, message.pair, direction, message.type, [_event(e) for e in found.events], None)
    answer.message = compare(message, sent.get(message.id))
    if isinstance(message, ArbitrageMessage):
        looks = look_at(log, message.pair, direction, looks_of(found), settings)
        answer.look, answer.ending = looks[0], looks[1] if len(looks) > 1 else None
    elif direction:
        answer.look = look_before(log, message, direction, offset, settings)
    else:
        answer.record = next((_view(log, _raw(at, value)) for at, value in log.records() if at == offset), None)
    return answer


def answer_refusal(asked: str, log: Log, pair: str, direction: str, offset: int, settings: EconomicSettings) -> Answer:
    """The evaluation that a record led to, taken apart."""
    (look,) = look_at(log, pair, direction, [offset], settings)
    return Answer(asked, log.name, pair, direction, None, [], look)


def _event(event: Event) -> dict[str, Any]:
    message = event.message
    names = ("id", "type", "event_time_ns", "net_usd", "net_bps", "size", "reason", "duration_ns", "peak_net_usd")
    return {name: getattr(message, name) for name in names if hasattr(message, name)}


def compare(message: SignalMessage, sent: bytes | None) -> Comparison:
    """Byte for byte, with the time of sending set equal."""
    recomputed = encode_message(message)
    if sent is None:
        return Comparison(recomputed.decode(), None, None, [])
    same_time = re.sub(rb'"emitted_ns":\d+', b'"emitted_ns":%d' % message.emitted_ns, sent, count=1)
    ours, theirs = msgspec.json.decode(recomputed), msgspec.json.decode(same_time)
    names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    return Comparison(recomputed.decode(), sent.decode(), recomputed == same_time, names)


def as_data(value: Any) -> Any:
    """An answer as JSON data."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_data(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: as_data(part) for name, part in value._asdict().items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {name: as_data(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [as_data(part) for part in value]
    return value
