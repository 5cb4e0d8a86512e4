"""What a direction's books promise after costs: the label of an episode, by the default rules of the economics.

This is a floating-point judgement for labels, made with the default fees and gates; the detector's own result is
exact. So a label is only given with a margin on both sides of the gates, and what lies between is `borderline`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from producers.simulator.universe import BINANCE, BYBIT, PERP, SPOT, Leg

TAKER_FEES_BPS: dict[Leg, float] = {
    (BINANCE, SPOT): 10.0,
    (BINANCE, PERP): 5.0,
    (BYBIT, SPOT): 10.0,
    (BYBIT, PERP): 5.5,
}
ROUTES = ((PERP, PERP), (SPOT, SPOT), (SPOT, PERP))
SLIPPAGE_BPS = 1.0
NOTIONAL_USD_MAX = 50_000.0
PROFIT_USD_MIN = 10.0
PROFIT_BPS_MIN = 5.0
MARGIN_BPS = 3.0
"""Room for what a label leaves out: carry, the common lot, and what the books do until they are seen."""

Level = tuple[float, float]
"""Unit price and unit size."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Names of the directions that are clearly profitable, and of those too close to the gates to say."""

    expected: tuple[str, ...]
    borderline: tuple[str, ...]


def directions(legs: Iterable[Leg]) -> list[tuple[Leg, Leg]]:
    """All (buy leg, sell leg) on different venues whose markets are a route."""
    listed = list(legs)
    return [(b, s) for b, s in product(listed, listed) if b[0] != s[0] and (b[1], s[1]) in ROUTES]


def direction_name(buy: Leg, sell: Leg) -> str:
    """A direction as it is written everywhere: `binance:perp>bybit:perp`."""
    return f"{buy[0]}:{buy[1]}>{sell[0]}:{sell[1]}"


def net_profit(buy: Leg, sell: Leg, asks: Sequence[Level], bids: Sequence[Level]) -> tuple[float, float]:
    """USD and bps of walking both books together while each step adds to net, up to the highest notional."""
    times_paid = 2 if PERP in (buy[1], sell[1]) else 1
    slip = SLIPPAGE_BPS / 10_000
    cost_buy = times_paid * TAKER_FEES_BPS[buy] / 10_000 + slip
    cost_sell = times_paid * TAKER_FEES_BPS[sell] / 10_000 + slip
    used = net = 0.0
    i = j = 0
    ask_left, bid_left = asks[0][1], bids[0][1]
    while i < len(asks) and j < len(bids):
        ask, bid = asks[i][0], bids[j][0]
        step = bid * (1 - cost_sell) - ask * (1 + cost_buy)
        size = min(ask_left, bid_left, (NOTIONAL_USD_MAX - used) / ask)
        if step <= 0 or size <= 0:
            break
        used, net = used + size * ask, net + size * step
        ask_left, bid_left = ask_left - size, bid_left - size
        if ask_left <= 0:
            i, ask_left = i + 1, asks[i + 1][1] if i + 1 < len(asks) else 0.0
        if bid_left <= 0:
            j, bid_left = j + 1, bids[j + 1][1] if j + 1 < len(bids) else 0.0
    return net, net / used * 10_000 if used else 0.0


def judge(books: Mapping[Leg, tuple[Sequence[Level], Sequence[Level]]]) -> Judgement:
    """Sort the directions of one pair by what its books (asks, bids per leg, unit prices) promise."""
    expected, borderline = [], []
    for buy, sell in directions(books):
        net_usd, net_bps = net_profit(buy, sell, books[buy][0], books[sell][1])
        if net_bps >= PROFIT_BPS_MIN + MARGIN_BPS and net_usd >= 2 * PROFIT_USD_MIN:
            expected.append(direction_name(buy, sell))
        elif net_bps >= PROFIT_BPS_MIN - MARGIN_BPS and net_usd > 0:
            borderline.append(direction_name(buy, sell))
    return Judgement(tuple(sorted(expected)), tuple(sorted(borderline)))
