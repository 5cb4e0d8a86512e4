"""The record of `mts.raw`: one JSON envelope with the exchange's own bytes inside (DESIGN section 3)."""

from typing import Annotated, Any

import msgspec

from mts_stream.domain.instrument import MARKETS
from mts_stream.errors import UNREADABLE, BadRecordError
from mts_stream.exchanges import VENUES

VERSION = 1
REGISTRY_VENUE = "mts"
REGISTRY_MARKET = "all"
CHANNELS = ("depth", "funding", "instruments")
KINDS = ("frame", "snapshot", "keyframe", "status", "registry")

Whole = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One raw record; `frame` holds the exchange's bytes untouched, `received_ns` is event time downstream."""

    v: int
    venue: str
    market: str
    channel: str
    kind: str
    symbol: str
    pair: str
    received_ns: Whole
    conn: str
    gen: Whole
    seq: Whole
    frame: msgspec.Raw
    range: tuple[str, str] | None = None

    @property
    def message_id(self) -> str:
        """`venue/market/symbol/conn/gen/seq`."""
        return f"{self.venue}/{self.market}/{self.symbol}/{self.conn}/{self.gen}/{self.seq}"


_decoder = msgspec.json.Decoder(Envelope)
_encoder = msgspec.json.Encoder()


def decode_envelope(value: bytes | None) -> Envelope:
    """The envelope in a record's value.

    Raises BadRecordError: `not_an_envelope`, `unknown_version`, `unknown_venue`, `unknown_kind`.
    """
    if not value:
        raise BadRecordError("not_an_envelope", "the record has no value")
    try:
        envelope = _decoder.decode(value)
    except UNREADABLE as error:
        raise BadRecordError(*_why(value, error)) from error
    if envelope.v != VERSION:
        raise BadRecordError("unknown_version", f"version {envelope.v}, this reader knows {VERSION}")
    _check_origin(envelope)
    return envelope


def _why(value: bytes, error: Exception) -> tuple[str, str]:
    """A newer version may have other fields: then its version is what is wrong, not its shape."""
    try:
        version = msgspec.json.decode(value, type=dict[str, msgspec.Raw]).get("v")
    except UNREADABLE:
        version = None
    if version is not None and bytes(version) != b"%d" % VERSION:
        return "unknown_version", f"version {bytes(version)[:20]!r}, this reader knows {VERSION}"
    return "not_an_envelope", str(error)


def _check_origin(envelope: Envelope) -> None:
    is_registry = envelope.kind == "registry"
    if is_registry:
        is_known = (envelope.venue, envelope.market) == (REGISTRY_VENUE, REGISTRY_MARKET)
    else:
        is_known = envelope.venue in VENUES and envelope.market in MARKETS
    if not is_known:
        raise BadRecordError("unknown_venue", f"{envelope.venue!r} {envelope.market!r} in a {envelope.kind} record")
    if envelope.kind not in KINDS or envelope.channel not in CHANNELS:
        raise BadRecordError("unknown_kind", f"kind {envelope.kind!r} of channel {envelope.channel!r}")


def encode_envelope(
    *, venue: str, market: str, channel: str, kind: str, symbol: str, pair: str, received_ns: int, conn: str,
    gen: int, seq: int, frame: bytes, known_range: tuple[str, str] | None = None,
) -> bytes:  # fmt: skip
    """The record's value; `frame` is put in byte for byte."""
    envelope = Envelope(
        VERSION,
        venue,
        market,
        channel,
        kind,
        symbol,
        pair,
        received_ns,
        conn,
        gen,
        seq,
        msgspec.Raw(frame),
        known_range,
    )
    return _encoder.encode(envelope)


class EnvelopeHead:
    """The part of an envelope that is the same for every frame of one book, encoded once."""

    def __init__(self, *, venue: str, market: str, channel: str, kind: str, symbol: str, pair: str) -> None:
        names = ("venue", "market", "channel", "kind", "symbol", "pair")
        fields = dict(zip(names, (venue, market, channel, kind, symbol, pair), strict=True))
        self._bytes = _encoder.encode({"v": VERSION} | fields)[:-1] + b',"received_ns":'

    def encode(self, received_ns: int, source: bytes, seq: int, frame: bytes | msgspec.Raw) -> bytes:
        """What `encode_envelope` gives for these fields, byte for byte; `source` is of `envelope_source`."""
        return b'%b%d%b%d,"frame":%b}' % (self._bytes, received_ns, source, seq, frame)


def envelope_source(conn: str, gen: int) -> bytes:
    """The part that is the same for every record of one generation of a connection."""
    return b',"conn":%b,"gen":%d,"seq":' % (_encoder.encode(conn), gen)


def encode_frame(frame: Any) -> bytes:
    """JSON bytes of a frame that we make ourselves: status, registry, keyframe."""
    return _encoder.encode(frame)
