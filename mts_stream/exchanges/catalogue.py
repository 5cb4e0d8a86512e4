"""What the registry's owner says of every instrument of a venue's market: taken as a leg of a pair, or why not.

One record per market in `mts.instruments`, its key the market's name behind an `@` (`@binance/perp`), which no pair
has; its envelope is of kind `catalogue`, venue `mts`, market `all`. Readers of pairs leave such keys out.
"""

from datetime import UTC, datetime

import msgspec
from msgspec import Raw

from mts_stream.errors import UNREADABLE, BadRecordError

KIND = "catalogue"
_KEY_MARK = b"@"


class CatalogueRow(msgspec.Struct, omit_defaults=True):
    """One instrument: `reason` says why it is no leg, or, where it is one, why its pair is quarantined.

    `turnover_usd` is the day's, a decimal string; `delisting_ms` the end that the venue has announced, Unix ms.
    """

    symbol: str
    base: str
    quote: str
    status: str
    pair: str = ""
    multiplier: int = 1
    fee_group: str = "default"
    turnover_usd: str = "0"
    delisting_ms: int | None = None
    is_taken: bool = False
    reason: str = ""


class MarketCatalogue(msgspec.Struct):
    """All instruments of one market, in the order of their turnover."""

    venue: str
    market: str
    instruments: list[CatalogueRow]


class _Envelope(msgspec.Struct):
    kind: str
    frame: Raw


_envelope = msgspec.json.Decoder(_Envelope)
_catalogue = msgspec.json.Decoder(MarketCatalogue)


def catalogue_key(venue: str, market: str) -> bytes:
    """The record key of a market's catalogue."""
    return _KEY_MARK + f"{venue}/{market}".encode()


def is_catalogue_key(key: bytes | None) -> bool:
    """Whether a record of `mts.instruments` is a catalogue, and no pair."""
    return key is not None and key.startswith(_KEY_MARK)


def encode_catalogue(catalogue: MarketCatalogue) -> bytes:
    """The frame of a catalogue record."""
    return msgspec.json.encode(catalogue)


def decode_catalogue(value: bytes | None) -> MarketCatalogue:
    """The catalogue in a record's value; raises BadRecordError."""
    try:
        envelope = _envelope.decode(value or b"")
        if envelope.kind != KIND:
            raise BadRecordError("unknown_kind", f"kind {envelope.kind!r} under a catalogue's key")
        return _catalogue.decode(envelope.frame)
    except UNREADABLE as error:
        raise BadRecordError("bad_frame", f"no catalogue: {error}") from error


def utc(at_ms: int) -> str:
    """A time for people, to the minute."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def row_notes(row: CatalogueRow) -> str:
    """What there is to say of an instrument beside its names: taken or why not, multiplier, fee group, end."""
    verdict = "" if row.is_taken else "not taken"
    if row.reason:
        verdict = f"quarantined: {row.reason}" if row.is_taken else f"not taken: {row.reason}"
    notes = [verdict or "taken"]
    if row.multiplier != 1:
        notes.append(f"x{row.multiplier}")
    if row.fee_group != "default":
        notes.append(f"fees: {row.fee_group}")
    if row.status not in ("trading", row.reason.removeprefix("status ")):
        notes.append(row.status)
    if row.delisting_ms is not None and "delisted at" not in row.reason:
        notes.append(f"to be delisted at {utc(row.delisting_ms)}")
    return "; ".join(notes)


def row_line(venue: str, market: str, row: CatalogueRow) -> str:
    """One instrument for people."""
    names = f"{row.pair:<18} {f'{venue}:{market}':<13} {row.symbol:<22}"
    return f"{names} {int(row.turnover_usd):>18,} USD a day  {row_notes(row)}"
