"""The registry record: a pair's legs as they stand in `mts.raw` and `mts.instruments` (DESIGN section 3)."""

from decimal import Decimal, InvalidOperation

import msgspec

from mts_stream.domain.instrument import MARKETS, Instrument, PairListing
from mts_stream.errors import BadRecordError
from mts_stream.exchanges import VENUES


class LegRecord(msgspec.Struct):
    """One leg on the wire; numbers are decimal strings in the venue's own units."""

    venue: str
    market: str
    symbol: str
    multiplier: str
    tick_size: str
    lot_size: str
    min_notional: str
    funding_interval_hours: int | None
    fee_group: str
    status: str
    reference_price: str


class PairRecord(msgspec.Struct):
    """One pair on the wire."""

    pair: str
    quarantined: str | None
    legs: list[LegRecord]


_decoder = msgspec.json.Decoder(PairRecord)


def decode_listing(frame: msgspec.Raw) -> PairListing:
    """The pair of a registry frame; raises BadRecordError or one of UNREADABLE where it cannot be."""
    record = _decoder.decode(frame)
    legs = tuple(_instrument(record.pair, leg) for leg in record.legs)
    if len({instrument.leg for instrument in legs}) != len(legs):
        raise BadRecordError("bad_frame", f"{record.pair}: a leg is listed twice")
    return PairListing(record.pair, record.quarantined, legs)


def encode_listing(listing: PairListing) -> bytes:
    """The frame of a registry record."""
    legs = [
        LegRecord(
            i.venue, i.market, i.symbol, plain(i.multiplier), plain(i.tick_size), plain(i.lot_size),
            plain(i.min_notional), i.funding_interval_hours, i.fee_group, i.status, plain(i.reference_price),
        )
        for i in listing.legs
    ]  # fmt: skip
    return msgspec.json.encode(PairRecord(listing.pair, listing.quarantined, legs))


def plain(value: Decimal) -> str:
    """A decimal without exponent and without trailing zeros."""
    return f"{value.normalize():f}"


def _instrument(pair: str, leg: LegRecord) -> Instrument:
    where = f"{pair} {leg.venue}:{leg.market} {leg.symbol}"
    if leg.venue not in VENUES or leg.market not in MARKETS:
        raise BadRecordError("bad_frame", f"{where}: unknown venue or market")
    return Instrument(
        leg.venue,
        leg.market,
        leg.symbol,
        _number(where, "multiplier", leg.multiplier, positive=True),
        _number(where, "tick_size", leg.tick_size),
        _number(where, "lot_size", leg.lot_size, positive=True),
        _number(where, "min_notional", leg.min_notional),
        leg.funding_interval_hours,
        leg.fee_group,
        leg.status,
        _number(where, "reference_price", leg.reference_price),
    )


def _number(where: str, name: str, text: str, *, positive: bool = False) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0 or (positive and value == 0):
        raise BadRecordError("bad_frame", f"{where}: {name} cannot be {text!r}")
    return value
