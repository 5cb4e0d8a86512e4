"""A walk taken apart: what each step took, which limit bounded it, and what ended the walk.

It looks at the very fills of `pricing.take` and `pricing.floored`, so that it cannot disagree with what was signalled.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from mts_stream.domain.evaluation import Judge
from mts_stream.domain.exact import plain_ratio
from mts_stream.domain.pricing import Fill, WalkEnd, floored, take

StepBound = Literal["ask_level", "bid_level", "both_levels", "max_notional"]


class WalkStep(NamedTuple):
    """One step: unit prices, unit sizes and USD, as exact plain decimal strings.

    `ask_size` and `bid_size` stand in the books, `ask_counted` and `bid_counted` is what MAX_DEPTH_SHARE leaves of
    them; `size` was taken, `kept` is what the floor to the common lot leaves of it; `used_usd` is bought up to here.
    """

    ask: str
    bid: str
    ask_size: str
    bid_size: str
    ask_counted: str
    bid_counted: str
    size: str
    kept: str
    used_usd: str
    bounded_by: StepBound


class WalkReport(NamedTuple):
    """A walk's steps and its end; `cut_by_lot` is the unit size that the floor to the common lot took off."""

    steps: tuple[WalkStep, ...]
    end: WalkEnd
    size: str
    cut_by_lot: str
    lot: str


def explain_walk(judge: Judge, now_ns: int) -> WalkReport:
    """The walk that `judge.judge(now_ns)` does or would do, whatever its gates say; both books must be valid."""
    counted = [dict(levels) for levels in judge.walker.counted_levels()]
    asks, bids = (iter(levels.items()) for levels in counted)
    fills, end = take(asks, bids, judge.limits.max_notional, judge.lot, judge.costs(now_ns))
    kept = floored(fills, judge.lot)
    size, taken = (sum(fill.size for fill in some) for some in (kept, fills))
    size_scale = judge.scale.size_scale
    return WalkReport(
        tuple(_steps(judge, counted, fills, kept, end)),
        end,
        plain_ratio(size, size_scale),
        plain_ratio(taken - size, size_scale),
        plain_ratio(judge.lot, size_scale),
    )


def _steps(
    judge: Judge, counted: list[dict[int, int]], fills: list[Fill], kept: list[Fill], end: WalkEnd
) -> Iterator[WalkStep]:
    scale = judge.scale
    asks, bids = (dict(levels) for levels in judge.walker.levels())
    asks_left, bids_left = (dict(levels) for levels in counted)
    used = 0
    for index, (size, ask, bid) in enumerate(fills):
        asks_left[ask] -= size
        bids_left[bid] -= size
        used += size * ask
        is_notional = end is WalkEnd.NOTIONAL and index == len(fills) - 1
        yield WalkStep(
            ask=plain_ratio(ask, scale.price_scale),
            bid=plain_ratio(bid, scale.price_scale),
            ask_size=plain_ratio(asks[ask], scale.size_scale),
            bid_size=plain_ratio(bids[bid], scale.size_scale),
            ask_counted=plain_ratio(counted[0][ask], scale.size_scale),
            bid_counted=plain_ratio(counted[1][bid], scale.size_scale),
            size=plain_ratio(size, scale.size_scale),
            kept=plain_ratio(kept[index].size if index < len(kept) else 0, scale.size_scale),
            used_usd=plain_ratio(used, scale.money_scale),
            bounded_by="max_notional" if is_notional else _level_bound(asks_left[ask], bids_left[bid]),
        )


def _level_bound(ask_left: int, bid_left: int) -> StepBound:
    if ask_left:
        return "bid_level"
    return "ask_level" if bid_left else "both_levels"
