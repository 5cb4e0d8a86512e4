"""A question put to captures or to Kafka: where to look, how far back, and what to say where nothing is found."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mts_stream.domain.economics import EconomicSettings
from mts_stream.errors import ExplainError
from mts_stream.explain.answering import Answer, answer_refusal, answer_signal
from mts_stream.explain.finding import Found, find_evaluation, find_signal, subject_of
from mts_stream.explain.logs import MS_PER_S, CaptureLog, KafkaLog
from mts_stream.explain.sent import SIGNALS_FILE, SentSignals, partition_of, sent_beside, sent_on_topic
from mts_stream.settings import Settings

NS_PER_MS = 10**6
NAMED_MAX = 3
# Keyframes of books, registry and Bybit's funding come every 60 s; funding counts for 900 s; then a book may have been
# quiet for so long that the record applied last stands far back.
LOOKBACKS_S = (80, 1000, 3600)


@dataclass(frozen=True, slots=True)
class Moment:
    """A direction of a pair at an event time."""

    pair: str
    direction: str
    at_ns: int


OnRecord = Callable[[], None]


def ask_captures(
    captures: Sequence[Path], asked: str | Moment, settings: EconomicSettings, on_record: OnRecord
) -> Answer:
    """Explain out of captures; raises ExplainError where nothing is found."""
    logs = [CaptureLog(path) for path in captures]
    if isinstance(asked, Moment):
        return _moment_in_captures(logs, asked, settings)
    searched = Found()
    for log in logs:
        found = find_signal(log, asked, settings, on_record)
        if found.meant is not None:
            sent = sent_beside([log.path], subject_of(asked))
            return _noted(answer_signal(asked, log, found, sent, settings), sent, settings)
        _add(searched, found)
    known = sent_beside(list(captures), subject_of(asked)).get(asked)
    other = _other_settings({asked: known}, settings) if known is not None else None
    raise ExplainError(
        f"{asked}: no signal of this id comes out of {_names(captures)}: {_searched(searched)}"
        + ("" if other is None else f"; {SIGNALS_FILE} has it: {other}")
    )


def _moment_in_captures(logs: list[CaptureLog], asked: Moment, settings: EconomicSettings) -> Answer:
    told = f"--pair {asked.pair}: the registry in these captures does not list it"
    for log in logs:
        found = find_evaluation(log, asked.pair, asked.direction, asked.at_ns, settings)
        if found.offset is not None:
            return answer_refusal(_told(asked), log, asked.pair, asked.direction, found.offset, settings)
        if found.listed:
            when = "it never is" if found.first_ns is None else f"its first is at {utc(found.first_ns)}"
            told = f"{_told(asked)}: it was not evaluated before that time in {log.name}; {when}"
    raise ExplainError(told)


def _add(searched: Found, found: Found) -> None:
    searched.records += found.records
    searched.signals += found.signals
    searched.events += found.events
    searched.first_ns = min((t for t in (searched.first_ns, found.first_ns) if t is not None), default=None)
    searched.last_ns = max((t for t in (searched.last_ns, found.last_ns) if t is not None), default=None)


def _searched(found: Found) -> str:
    if found.events:
        return f"the opportunity has the events {', '.join(event.message.id for event in found.events)}"
    if found.first_ns is None or found.last_ns is None:
        return f"under the settings in force none of {found.records} records leads to a signal"
    return (
        f"{found.records} records lead to {found.signals} signals, from {utc(found.first_ns)} to {utc(found.last_ns)}; "
        "another id, or other settings than those in force"
    )


def _names(captures: Sequence[Path]) -> str:
    return ", ".join(map(str, captures)) if len(captures) <= NAMED_MAX else f"{len(captures)} captures"


def ask_kafka(settings: Settings, asked: str | Moment, on_record: OnRecord) -> Answer:
    """Explain out of mts.raw; raises ExplainError where nothing is found, KafkaUnavailableError."""
    if isinstance(asked, Moment):
        return _moment_in_kafka(settings, asked)
    sent = sent_on_topic(settings, subject_of(asked))
    if sent.partition is None:
        raise ExplainError(
            f"{asked}: no signal of this id is among the {sent.read} that mts.signals got in the last 24 h; "
            "of an older one mts.raw no longer holds the messages, only a capture does: --capture"
        )
    if asked != subject_of(asked) and asked not in sent.values:
        raise ExplainError(f"{asked}: mts.signals has of this opportunity the events {', '.join(sorted(sent.values))}")
    return _recomputed(settings, asked, sent, on_record)


def _recomputed(settings: Settings, asked: str, sent: SentSignals, on_record: OnRecord) -> Answer:
    """Read from ever further back until the message comes out as it was sent."""
    assert sent.partition is not None, "it was found"
    economics = settings.economics()
    answer = None
    for back_s in LOOKBACKS_S:
        from_ms, until_ms = sent.first_event_ns // NS_PER_MS - back_s * MS_PER_S, sent.last_event_ns // NS_PER_MS
        log = KafkaLog(settings, sent.partition, from_ms, until_ms)
        found = find_signal(log, asked, economics, on_record)
        if found.meant is not None:
            answer = _noted(answer_signal(asked, log, found, sent.values, economics), sent.values, economics)
            if answer.message is not None and answer.message.equal:
                return answer
        if log.begins_ms is None or log.begins_ms > from_ms + LOOKBACKS_S[0] * MS_PER_S:
            break  # the log begins later than that
    if answer is None:
        raise ExplainError(f"{asked}: it stands on mts.signals but does not come out of {_held(log, sent, economics)}")
    answer.notes.append(f"read from {utc(from_ms * NS_PER_MS)} on: what the books held from before then is not in it")
    return answer


def _held(log: KafkaLog, sent: SentSignals, economics: EconomicSettings) -> str:
    if log.begins_ms is None or log.begins_ms * NS_PER_MS > sent.first_event_ns:
        since = "nothing" if log.begins_ms is None else f"records from {utc(log.begins_ms * NS_PER_MS)} on"
        return f"{log.name}, which still holds {since}; the signal is of {utc(sent.first_event_ns)}"
    other = _other_settings(sent.values, economics)
    return f"{log.name} from {utc(log.from_ms * NS_PER_MS)} on" + (f": {other}" if other else "")


def _moment_in_kafka(settings: Settings, asked: Moment) -> Answer:
    partition = partition_of(settings, asked.pair)
    if partition is None:
        raise ExplainError(f"--pair {asked.pair}: mts.instruments does not list it; see `mts-stream pairs`")
    answer = None
    at_ms = asked.at_ns // NS_PER_MS
    for back_s in LOOKBACKS_S:
        log = KafkaLog(settings, partition, at_ms - back_s * MS_PER_S, at_ms)
        offset = find_evaluation(log, asked.pair, asked.direction, asked.at_ns, settings.economics()).offset
        if offset is not None:
            answer = answer_refusal(_told(asked), log, asked.pair, asked.direction, offset, settings.economics())
            if answer.look is not None and all(
                leg.state != "empty" and (leg.funding or "spot" in leg.leg) for leg in answer.look.legs
            ):
                return answer
    if answer is None:
        raise ExplainError(
            f"{_told(asked)}: {log.name} holds no evaluation of it in the {LOOKBACKS_S[-1]} s before that time"
        )
    return answer


def _noted(answer: Answer, sent: dict[str, bytes], economics: EconomicSettings) -> Answer:
    other = _other_settings(sent, economics)
    if other:
        answer.notes.append(other)
    return answer


def _other_settings(sent: dict[str, bytes], economics: EconomicSettings) -> str | None:
    ours = economics.config_id.encode()
    if any(b'"config_id":"%s"' % ours not in value for value in sent.values()):
        return "it was sent under other settings than those in force here (another config_id); set the same"
    return None


def _told(asked: Moment) -> str:
    return f"{asked.pair} {asked.direction} at {utc(asked.at_ns)}"


def utc(time_ns: int) -> str:
    """A time as people write it, to the nanosecond."""
    whole = datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{whole}.{time_ns % 10**9:09d} UTC"
