"""Bybit v5 spot and linear: raw frames to domain events.

Book recipe (docs/v5/websocket/public/orderbook, read 2026-03-18): a snapshot replaces the book whenever it comes,
a delta applies when u == the last u + 1, size "0" deletes; u == 1 is a restart of the service and counts as a snapshot.
Tickers of linear send a snapshot, then deltas with the changed fields alone; absent means unchanged.
"""

import msgspec
from msgspec import Raw

from mts_stream.domain.market_data import DepthUpdate, FundingUpdate, KnownRange, Origin
from mts_stream.errors import BadRecordError

NS_PER_MS = 1_000_000


class BookData(msgspec.Struct):
    """`data` of orderbook.N."""

    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    u: int


class BookFrame(msgspec.Struct):
    """orderbook.N, snapshot or delta."""

    type: str
    ts: int
    data: BookData


class TickerData(msgspec.Struct):
    """`data` of tickers; what a delta leaves out did not change."""

    fundingRate: str = ""  # noqa: N815
    nextFundingTime: str = ""  # noqa: N815
    fundingIntervalHour: str = ""  # noqa: N815


class TickerFrame(msgspec.Struct):
    """tickers, snapshot or delta."""

    data: TickerData


_book = msgspec.json.Decoder(BookFrame)
_ticker = msgspec.json.Decoder(TickerFrame)


def decode_depth(frame: Raw, origin: Origin, kind: str, known_range: KnownRange | None) -> DepthUpdate:
    """A snapshot or a delta as a change of the book."""
    book = _book.decode(frame)
    if book.type not in ("snapshot", "delta"):
        raise BadRecordError("bad_frame", f"{origin.message_id}: unknown type {book.type!r}")
    return DepthUpdate(
        origin,
        replaces=book.type == "snapshot",
        is_keyframe=kind == "keyframe",
        last_id=book.data.u,
        bids=book.data.b,
        asks=book.data.a,
        exchange_ns=book.ts * NS_PER_MS,
    )


def decode_funding(frame: Raw, origin: Origin) -> FundingUpdate:
    """A ticker: what it states of rate, next settlement and interval."""
    data = _ticker.decode(frame).data
    return FundingUpdate(
        origin,
        data.fundingRate or None,
        _whole(origin, "nextFundingTime", data.nextFundingTime, NS_PER_MS),
        _whole(origin, "fundingIntervalHour", data.fundingIntervalHour, 1),
    )


def _whole(origin: Origin, name: str, text: str, unit: int) -> int | None:
    if not text or text == "0":
        return None
    if not (text.isascii() and text.isdigit()):
        raise BadRecordError("bad_frame", f"{origin.message_id}: {name} cannot be {text!r}")
    return int(text) * unit
