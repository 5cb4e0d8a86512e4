"""Envelopes to domain events, results to message values."""

from typing import Any, cast

import msgspec

from mts_stream.domain.market_data import (
    AuditRecord,
    ConnectionState,
    ConnectionStatus,
    MarketEvent,
    Origin,
    RegistryUpdate,
)
from mts_stream.errors import BadRecordError
from mts_stream.exchanges import DEPTH, FUNDING
from mts_stream.exchanges.registry import decode_listing
from mts_stream.wire.envelope import Envelope, decode_envelope


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
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        where = f"{origin.message_id} ({envelope.kind} of {envelope.channel})"
        raise BadRecordError("bad_frame", f"{where}: {error}") from None


def _decode(envelope: Envelope, origin: Origin) -> MarketEvent:
    match envelope.kind, envelope.channel:
        case "frame" | "keyframe", "depth":
            return DEPTH[envelope.venue](envelope.frame, origin, envelope.kind, envelope.range)
        case "frame" | "keyframe", "funding":
            return FUNDING[envelope.venue](envelope.frame, origin)
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


def encode_message(message: Any) -> bytes:
    """A result as the bytes of its message."""
    return _encoder.encode(message)
