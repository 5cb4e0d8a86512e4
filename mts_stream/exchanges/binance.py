"""Binance spot and USD-M futures: raw frames to domain events.

Book recipe, spot (web-socket-streams.md, read 2026-07-21): open the diff stream and buffer, take a REST snapshot,
drop events with u <= lastUpdateId, go on while U <= local + 1. USD-M (Diff-Book-Depth, How-to-manage, 2026-03):
drop u < lastUpdateId, the first event has pu <= lastUpdateId <= u, afterwards pu == the previous u.
`T` is the next funding time in markPriceUpdate and the matching engine's time in depthUpdate.
"""

import msgspec
from msgspec import Raw

from mts_stream.domain.market_data import DepthUpdate, FundingUpdate, KnownRange, Origin
from mts_stream.errors import BadRecordError

NS_PER_MS = 1_000_000


class DiffDepth(msgspec.Struct):
    """depthUpdate of spot and USD-M; `pu` is USD-M's alone."""

    E: int
    U: int
    u: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    pu: int | None = None


class Snapshot(msgspec.Struct):
    """The answer of /api/v3/depth and /fapi/v1/depth, which is also the form of our keyframes."""

    lastUpdateId: int  # noqa: N815
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class MarkPrice(msgspec.Struct):
    """markPriceUpdate of USD-M."""

    r: str = ""
    T: int = 0


_diff = msgspec.json.Decoder(DiffDepth)
_snapshot = msgspec.json.Decoder(Snapshot)
_mark_price = msgspec.json.Decoder(MarkPrice)


def decode_depth(frame: Raw, origin: Origin, kind: str, known_range: KnownRange | None) -> DepthUpdate:
    """A diff, or a keyframe, as a change of the book."""
    if kind == "keyframe":
        book = _snapshot.decode(frame)
        return DepthUpdate(
            origin, replaces=True, is_keyframe=True, last_id=book.lastUpdateId,
            bids=book.bids, asks=book.asks, known_range=known_range,
        )  # fmt: skip
    diff = _diff.decode(frame)
    if origin.market == "perp" and diff.pu is None:
        raise BadRecordError("bad_frame", f"{origin.message_id}: a diff of USD-M has no pu")
    return DepthUpdate(
        origin, replaces=False, is_keyframe=False, last_id=diff.u, bids=diff.b, asks=diff.a,
        first_id=diff.U, previous_id=diff.pu, exchange_ns=diff.E * NS_PER_MS,
    )  # fmt: skip


def decode_funding(frame: Raw, origin: Origin) -> FundingUpdate:
    """markPriceUpdate: rate and next settlement; the interval comes from the registry (fundingInfo)."""
    mark = _mark_price.decode(frame)
    return FundingUpdate(origin, mark.r or None, mark.T * NS_PER_MS if mark.T else None, None)
