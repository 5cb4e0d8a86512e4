"""Envelopes to domain events, results to message values."""

from base64 import b64encode
from datetime import UTC, datetime
from functools import lru_cache
from typing import cast

import msgspec

from mts_stream.domain.market_data import (
    AuditRecord,
    ConnectionState,
    ConnectionStatus,
    MarketEvent,
    Origin,
    RegistryUpdate,
)
from mts_stream.domain.messages import (
    ArbitrageClosed,
    ArbitrageMessage,
    BookQuality,
    FundingAnomaly,
    FundingChange,
    FundingClosed,
    FundingMessage,
    Message,
    SignalMessage,
    SpreadAnomaly,
    SpreadWindow,
)
from mts_stream.errors import UNREADABLE, BadRecordError
from mts_stream.exchanges import VENUES
from mts_stream.exchanges.registry import decode_listing
from mts_stream.wire import topics
from mts_stream.wire.envelope import Envelope, decode_envelope

PAYLOAD_BYTES_MAX = 64 * 1024
DETAIL_CHARS_MAX = 2000
CACHED_SECONDS_MAX = 1 << 10

_TOPIC: dict[type, str] = {
    ArbitrageMessage: topics.SIGNALS,
    ArbitrageClosed: topics.SIGNALS,
    FundingMessage: topics.SIGNALS,
    FundingClosed: topics.SIGNALS,
    SpreadAnomaly: topics.SIGNALS,
    FundingAnomaly: topics.SIGNALS,
    SpreadWindow: topics.SPREADS,
    FundingChange: topics.FUNDING,
    BookQuality: topics.QUALITY,
}


class _Status(msgspec.Struct):
    state: str
    reason: str = ""


_status = msgspec.json.Decoder(_Status)
_encoder = msgspec.json.Encoder()


def decode_record(value: bytes | None) -> MarketEvent:
    """The domain event in a raw record's value; raises BadRecordError."""
    return decode_event(decode_envelope(value))


def decode_event(envelope: Envelope) -> MarketEvent:
    """The domain event in an envelope; raises BadRecordError `bad_frame` where the frame is not what its kind says."""
    origin = Origin(
        envelope.venue, envelope.market, envelope.symbol, envelope.pair,
        envelope.conn, envelope.gen, envelope.seq, envelope.received_ns,
    )  # fmt: skip
    try:
        return _decode(envelope, origin)
    except UNREADABLE as error:
        where = f"{origin.message_id} ({envelope.kind} of {envelope.channel})"
        raise BadRecordError("bad_frame", f"{where}: {error}") from None


def _decode(envelope: Envelope, origin: Origin) -> MarketEvent:
    kind, channel = envelope.kind, envelope.channel
    if channel == "depth" and kind in ("frame", "keyframe"):  # nearly every record
        return VENUES[envelope.venue].decode_depth(envelope.frame, origin, kind, envelope.range)
    match kind, channel:
        case "frame" | "keyframe", "funding":
            return VENUES[envelope.venue].decode_funding(envelope.frame, origin)
        case "status", _:
            return _connection_status(envelope, origin)
        case "registry", _:
            return RegistryUpdate(origin, decode_listing(envelope.frame))
        case "snapshot", _:
            return AuditRecord(origin)
    raise BadRecordError(
        "bad_frame", f"{origin.message_id}: a {envelope.kind} of {envelope.channel} is nothing we know"
    )


def _connection_status(envelope: Envelope, origin: Origin) -> ConnectionStatus:
    status = _status.decode(envelope.frame)
    if status.state not in ("up", "alive", "down"):
        raise BadRecordError("bad_frame", f"{origin.message_id}: unknown state {status.state!r}")
    return ConnectionStatus(origin, cast(ConnectionState, status.state), status.reason)


def topic_of(message: Message) -> str:
    """The topic that carries a result."""
    return _TOPIC[type(message)]


def key_of(message: Message) -> bytes:
    """The record key of a result: its pair."""
    return message.pair.encode()


def encode_message(message: Message, emitted_ns: int | None = None) -> bytes:
    """A result as the bytes of its record; `emitted_ns` is the clock when sent, event time without one (replay)."""
    if emitted_ns is not None and isinstance(message, SignalMessage):
        message.emitted_ns = emitted_ns
    return _encoder.encode(message)


def headers_of(message: Message) -> list[tuple[str, bytes]]:
    """CloudEvents 1.0 attributes of a signal, in Kafka's binary binding; other results have none."""
    if not isinstance(message, SignalMessage):
        return []
    second, ns = divmod(message.event_time_ns, 1_000_000_000)
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", message.id.encode()),
        ("ce_type", message.type.encode()),
        ("ce_source", b"/mts-stream"),
        ("ce_subject", message.pair.encode()),
        ("ce_time", f"{_second_text(second)}.{ns:09d}Z".encode()),
        ("content-type", b"application/json"),
    ]


@lru_cache(maxsize=CACHED_SECONDS_MAX)
def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def dead_letter(
    *, origin: str, reason: str, detail: str, topic: str | None, partition: int | None, offset: int | None,
    venue: str | None, stream: str | None, payload: bytes | None, payload_bytes: int | None = None,
) -> bytes:  # fmt: skip
    """The value of a dead letter (DESIGN section 8): its payload's first 64 KiB in base64.

    `payload_bytes` is the length of what the payload is the beginning of, where there is more than is given.
    """
    payload = payload or b""
    size = len(payload) if payload_bytes is None else payload_bytes
    letter = {
        "origin": origin, "reason": reason, "detail": detail[:DETAIL_CHARS_MAX],
        "topic": topic, "partition": partition, "offset": offset, "venue": venue, "stream": stream,
        "payload_base64": b64encode(payload[:PAYLOAD_BYTES_MAX]).decode(),
        "payload_bytes": size, "truncated": size > PAYLOAD_BYTES_MAX,
    }  # fmt: skip
    return _encoder.encode(letter)
