"""One evaluation taken apart: books, funding, costs, walk, amounts, and how far each gate was passed or missed.

Everything is asked of the objects that evaluated (`Judge`, `Leg`, `walk_report`), at the event time and with the books
of that very moment; a gate that would disagree with the outcome is a bug and raises. Numbers are plain decimal strings.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

from mts_stream.domain.direction import Direction
from mts_stream.domain.evaluation import SIGNAL, Evaluation, Judge
from mts_stream.domain.exact import (
    BPS_DECIMALS,
    DECIMALS,
    FRACTION_SCALE,
    SCALE,
    plain,
    plain_ratio,
    plain_rounded,
)
from mts_stream.domain.funding import NS_PER_HOUR
from mts_stream.domain.leg import Leg
from mts_stream.domain.order_book import ScaledLevel
from mts_stream.domain.pair_engine import PairEngine
from mts_stream.domain.pricing import Amounts, PairScale, Walk
from mts_stream.domain.sequencing import VALID
from mts_stream.domain.terms import Terms
from mts_stream.domain.walk_report import WalkReport, explain_walk
from mts_stream.domain.windows import EDGE_DECIMALS

LEVELS_SHOWN = 20
NS_PER_MS = 10**6


@dataclass(frozen=True, slots=True)
class LevelView:
    """One level in units of the pair, and what stands in the book up to it, in USD."""

    price: str
    size: str
    cumulative_usd: str


@dataclass(frozen=True, slots=True)
class FundingView:
    """A perp's funding as last stated, and the settlements that a position held from now on would meet."""

    known: bool
    why_unknown: str | None
    rate: str | None
    next_funding_ns: int | None
    interval_hours: int | None
    stated_ns: int | None
    settlements_ns: list[int]
    rates: str | None  # their sum, a fraction of the notional


@dataclass(frozen=True, slots=True)
class LegView:
    """A leg at the moment: its instrument, its book, its fee in force and its funding."""

    side: str
    leg: str
    symbol: str
    state: str
    sequence: int
    generation: int
    conn: str
    message_id: str
    book_age_ms: int | None
    bids: list[LevelView]
    asks: list[LevelView]
    bid_levels: int
    ask_levels: int
    multiplier: str
    lot: str
    min_notional: str
    fee_bps: str | None
    fee_group: str
    fee_group_in_force: str | None
    fee_valid_from: str | None
    fees_usd: str | None
    funding: FundingView | None


@dataclass(frozen=True, slots=True)
class Gate:
    """A rule of DESIGN section 5: what it asks, what there was, and what was left (below 0: what was missing).

    `passed` is None where an earlier gate left nothing to judge.
    """

    name: str
    outcome: str
    passed: bool | None
    required: str
    actual: str | None = None
    margin: str | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """An evaluation of a direction, taken apart; without valid books there is no edge, no walk and no amounts."""

    pair: str
    direction: str
    event_time_ns: int
    outcome: str
    quarantined: str | None
    net_basis: str
    slippage_bps: str
    held_hours: str
    max_notional: str
    max_depth_share: str
    edge_bps: str | None
    needed_edge_bps: str | None
    legs: tuple[LegView, LegView]
    walk: WalkReport | None
    amounts: dict[str, Any] | None  # as in a message; the carry in them is 0 where funding is unknown
    gates: list[Gate]


def explain(
    engine: PairEngine, direction: Direction, at_ns: int | None = None, held_hours: Decimal | None = None
) -> Explanation:
    """The evaluation of a direction that the record just handled led to, or would lead to.

    What is judged at a window's end is explained with the books before the record that ended it, at the time `at_ns`
    of that end; the settlements that count are those of `held_hours`, HOLDING_HOURS without it.
    """
    judge, now_ns = direction.judge, engine.event_time_ns if at_ns is None else at_ns
    hours = engine.settings.holding_hours if held_hours is None else held_hours
    evaluation = judge.judge(now_ns, engine.quarantined is not None)
    books_valid = judge.buy.state == VALID and judge.sell.state == VALID
    walked = judge.walked(now_ns) if books_valid else None
    amounts = _amounts(judge, walked, now_ns) if walked is not None and walked.size else None
    gates = list(_gates(judge, engine.quarantined, now_ns, walked, amounts))
    _agree(evaluation, gates)
    settings = engine.settings
    return Explanation(
        engine.pair,
        direction.name,
        now_ns,
        evaluation.outcome,
        engine.quarantined,
        "round_trip" if judge.turns == 2 else "entry",
        f"{settings.slippage_bps.normalize():f}",
        f"{hours.normalize():f}",
        f"{settings.max_notional.normalize():f}",
        f"{settings.max_depth_share.normalize():f}",
        None if evaluation.edge is None else plain(evaluation.edge.bps, EDGE_DECIMALS),
        _needed_edge_bps(judge, now_ns),
        (_leg(judge, judge.buy, now_ns, walked, hours), _leg(judge, judge.sell, now_ns, walked, hours)),
        explain_walk(judge, now_ns) if books_valid else None,
        None if amounts is None or evaluation.edge is None else _texts(amounts, evaluation, judge.scale),
        gates,
    )


def _agree(evaluation: Evaluation, gates: list[Gate]) -> None:
    missed = next((gate.outcome for gate in gates if gate.passed is False), SIGNAL)
    assert missed == evaluation.outcome, f"the gates say {missed}, the engine {evaluation.outcome}"


def _amounts(judge: Judge, walked: Walk, now_ns: int) -> Amounts:
    rates = judge.carried_rates(now_ns) if judge.funding_known(now_ns) else 0
    return Amounts.of(walked, judge.costs(now_ns), rates)


def _texts(amounts: Amounts, evaluation: Evaluation, scale: PairScale) -> dict[str, Any]:
    assert evaluation.edge is not None, "a walk has an edge"
    texts = Terms((), amounts, evaluation.edge, scale).texts
    return {name: value for name, value in texts.items() if name != "legs"}


def _needed_edge_bps(judge: Judge, now_ns: int) -> str:
    """The touch edge above which a first step adds to net before carry: the condition of step 1, solved for bid."""
    costs = judge.costs(now_ns)
    sold = FRACTION_SCALE - costs.turns * costs.sell_fee - costs.slippage
    bought = FRACTION_SCALE + costs.turns * costs.buy_fee + costs.slippage
    return plain_rounded((bought - sold) * 10**4, sold, EDGE_DECIMALS)


def _gates(
    judge: Judge, quarantined: str | None, now_ns: int, walked: Walk | None, amounts: Amounts | None
) -> Iterator[Gate]:
    yield Gate("pair in order", "quarantined", quarantined is None, "not quarantined", quarantined or "not quarantined")
    for side, leg in (("buy", judge.buy), ("sell", judge.sell)):
        yield Gate(f"book of the {side} leg", f"book_{leg.state}", leg.state == VALID, VALID, leg.state)
    yield from _edge_gates(judge, now_ns, walked)
    begun = walked is not None and judge.costs(now_ns).adds(judge.sell.best_bid, judge.buy.best_ask)
    yield from _size_gates(judge, walked if begun else None)
    for side, leg in (("buy", judge.buy), ("sell", judge.sell)):
        known = leg.funding_known(now_ns)
        text = "known" if leg.is_perp else "spot pays none"
        yield Gate(f"funding of the {side} leg", "funding_unknown", known, "known", text if known else "unknown")
    yield from _profit_gates(judge, now_ns, amounts)


def _edge_gates(judge: Judge, now_ns: int, walked: Walk | None) -> Iterator[Gate]:
    needed, limit = _needed_edge_bps(judge, now_ns), plain(judge.limits.max_edge_bps, BPS_DECIMALS)
    names = ("touch edge", "no_edge"), ("touch edge", "implausible")
    if walked is None:
        yield Gate(*names[0], None, f"> {needed}", unit="bps")
        yield Gate(*names[1], None, f"<= {limit}", unit="bps")
        return
    ask, bid = judge.buy.best_ask, judge.sell.best_bid
    edge = plain_rounded((bid - ask) * 10**4, ask, EDGE_DECIMALS)
    adds = judge.costs(now_ns).adds(bid, ask)
    yield Gate(*names[0], adds, f"> {needed}", edge, _minus(edge, needed), "bps")
    plausible = (bid - ask) * FRACTION_SCALE <= judge.limits.max_edge_bps * ask
    yield Gate(*names[1], plausible, f"<= {limit}", edge, _minus(limit, edge), "bps")


def _size_gates(judge: Judge, walked: Walk | None) -> Iterator[Gate]:
    scale = judge.scale.money_scale
    lot = plain_ratio(judge.lot, judge.scale.size_scale)
    size = None if walked is None else plain_ratio(walked.size, judge.scale.size_scale)
    is_some = None if walked is None else walked.size > 0
    yield Gate("size", "min_notional", is_some, f">= {lot}", size, None if size is None else _minus(size, lot))
    for name, minimum, notional in (
        ("bought", judge.buy_minimum, None if walked is None else walked.buy_notional),
        ("sold", judge.sell_minimum, None if walked is None else walked.sell_notional),
    ):
        required = f">= {plain_ratio(minimum, scale)}"
        if notional is None:
            yield Gate(name, "min_notional", None, required, unit="USD")
        else:
            actual, left = plain_ratio(notional, scale), plain_ratio(notional - minimum, scale)
            yield Gate(name, "min_notional", notional >= minimum, required, actual, left, "USD")


def _profit_gates(judge: Judge, now_ns: int, amounts: Amounts | None) -> Iterator[Gate]:
    limits, usd_scale = judge.limits, judge.scale.money_scale * FRACTION_SCALE * SCALE
    usd, bps = plain_ratio(limits.min_profit_usd, usd_scale), plain(limits.min_profit_bps, BPS_DECIMALS)
    if amounts is None or not judge.funding_known(now_ns):
        yield Gate("net", "below_threshold", None, f">= {usd}", unit="USD")
        yield Gate("net", "below_threshold", None, f">= {bps}", unit="bps")
        return
    net, least = amounts.net, limits.min_profit_bps * amounts.buy_notional * SCALE
    actual, left = (plain_ratio(part, usd_scale) for part in (net, net - limits.min_profit_usd))
    yield Gate("net", "below_threshold", net >= limits.min_profit_usd, f">= {usd}", actual, left, "USD")
    unit = amounts.buy_notional * FRACTION_SCALE * SCALE
    actual, left = (plain_rounded(part * 10**4, unit, EDGE_DECIMALS) for part in (net, net - least))
    yield Gate("net", "below_threshold", net >= least, f">= {bps}", actual, left, "bps")


def _leg(judge: Judge, leg: Leg, now_ns: int, walked: Walk | None, hours: Decimal) -> LegView:
    side = "buy" if leg is judge.buy else "sell"
    book, instrument, scale = leg.book, leg.instrument, judge.scale
    costs = judge.costs(now_ns)
    fee = costs.buy_fee if side == "buy" else costs.sell_fee
    paid = judge.settings.fees.in_force(instrument.venue, instrument.market, instrument.fee_group, now_ns)
    notional = None if walked is None else walked.buy_notional if side == "buy" else walked.sell_notional
    return LegView(
        side,
        leg.name,
        instrument.symbol,
        leg.state,
        book.sequence,
        book.gen,
        book.conn,
        book.applied_id,
        (now_ns - book.applied_ns) // NS_PER_MS if book.applied_id else None,
        _levels(leg.factors.levels(book.book.bids.from_best()), scale),
        _levels(leg.factors.levels(book.book.asks.from_best()), scale),
        len(book.book.bids),
        len(book.book.asks),
        f"{instrument.multiplier.normalize():f}",
        plain_ratio(leg.factors.lot, scale.size_scale),
        f"{instrument.min_notional.normalize():f}",
        plain(fee, BPS_DECIMALS),
        instrument.fee_group,
        None if paid is None else paid.fee_group,
        None if paid is None else paid.valid_from.isoformat(),
        None if notional is None else plain_ratio(notional * fee, scale.money_scale * FRACTION_SCALE),
        _funding(leg, judge, now_ns, int(hours * NS_PER_HOUR)) if leg.is_perp else None,
    )


def _levels(levels: Iterator[ScaledLevel], scale: PairScale) -> list[LevelView]:
    views, total = [], 0
    for price, size in islice(levels, LEVELS_SHOWN):
        total += price * size
        texts = plain_ratio(price, scale.price_scale), plain_ratio(size, scale.size_scale)
        views.append(LevelView(*texts, plain_ratio(total, scale.money_scale)))
    return views


def _funding(leg: Leg, judge: Judge, now_ns: int, held_ns: int) -> FundingView:
    stated, listed = leg.funding, leg.instrument.funding_interval_hours
    interval = stated.interval_in_force(listed)
    known = leg.funding_known(now_ns)
    settlements: list[int] = []
    rates = None
    if known and interval:
        first_ns = stated.first_settlement_ns(listed, now_ns)
        settlements = list(range(first_ns, now_ns + held_ns + 1, interval * NS_PER_HOUR))
        total = leg.rates_until(now_ns, held_ns)
        assert stated.rate is not None and total == stated.rate * len(settlements), "each settlement counts once"
        rates = plain(total, DECIMALS)
    why = None if known else _why_unknown(leg, judge, now_ns)
    next_ns = stated.next_ns
    return FundingView(known, why, stated.rate_plain, next_ns, interval, stated.received_ns, settlements, rates)


def _why_unknown(leg: Leg, judge: Judge, now_ns: int) -> str:
    stated = leg.funding
    if stated.received_ns is None:
        return "no funding record of this leg has come"
    lacking = [
        name
        for name, value in (
            ("rate", stated.rate),
            ("next settlement", stated.next_ns),
            ("interval", stated.interval_in_force(leg.instrument.funding_interval_hours)),
        )
        if not value and value != 0
    ]
    if lacking:
        return f"the venue has not stated its {' and '.join(lacking)}"
    age_s = (now_ns - stated.received_ns) // 10**9
    return f"last stated {age_s} s ago, more than FUNDING_MAX_AGE_S {judge.settings.funding_max_age_s}"


def _minus(left: str, right: str) -> str:
    """The exact difference of two plain decimal strings."""
    (a, a_decimals), (b, b_decimals) = _parts(left), _parts(right)
    decimals = max(a_decimals, b_decimals)
    return plain(a * 10 ** (decimals - a_decimals) - b * 10 ** (decimals - b_decimals), decimals)


def _parts(text: str) -> tuple[int, int]:
    whole, _, tail = text.partition(".")
    return int(whole + tail), len(tail)
