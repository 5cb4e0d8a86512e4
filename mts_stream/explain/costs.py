"""The costs of an evaluation line by line, each with the numbers that it is made of."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from mts_stream.domain.explanation import Explanation, FundingView, LegView


class CostLine(NamedTuple):
    """One line: what it is, how it comes about, and the amount as it stands in the message."""

    name: str
    how: str
    amount: str
    is_sum: bool = False


def cost_lines(seen: Explanation) -> Iterator[CostLine]:
    """From gross to net, in the order in which they are taken off; where nothing was walked, what they would be."""
    amounts = seen.amounts
    if amounts is None:
        yield from _rates(seen)
        return
    bought, sold = amounts["buy_notional"], amounts["sell_notional"]
    yield CostLine("gross", f"sold for {sold}, bought for {bought}", amounts["gross_usd"])
    for leg, notional in zip(seen.legs, (bought, sold), strict=True):
        yield CostLine(f"fee of {leg.leg}", f"{leg.fee_bps} bps of {notional}, {_fee_of(leg)}", _minus(leg.fees_usd))
    yield CostLine("slippage", f"{seen.slippage_bps} bps of {bought} + {sold}", _minus(amounts["slippage_usd"]))
    yield from _carry(seen, bought, amounts["carry_usd"])
    yield CostLine("net entry", "gross - fees - slippage + carry", amounts["net_entry_usd"], True)
    if seen.net_basis == "round_trip":
        yield CostLine("exit fees", "both fees once more", _minus(amounts["fees_usd"]))
        yield CostLine("net round trip", "net entry - exit fees", amounts["net_round_trip_usd"], True)
    yield CostLine("net", f"{amounts['net_bps']} bps of {bought}; basis: {seen.net_basis}", amounts["net_usd"], True)


def _rates(seen: Explanation) -> Iterator[CostLine]:
    times = "twice, in and out" if seen.net_basis == "round_trip" else "once"
    for leg in seen.legs:
        yield CostLine(f"fee of {leg.leg}", f"{leg.fee_bps} bps {times}, {_fee_of(leg)}", "")
    yield CostLine("slippage", f"{seen.slippage_bps} bps of each leg", "")
    yield CostLine("together", f"a touch edge above {seen.needed_edge_bps} bps is needed for a first step", "", True)


def _fee_of(leg: LegView) -> str:
    group = f"group {leg.fee_group}"
    if leg.fee_group_in_force != leg.fee_group:
        group += f", which has none: {leg.fee_group_in_force}"
    return f"{group}, in force since {leg.fee_valid_from}"


def _carry(seen: Explanation, bought: str, carry: str) -> Iterator[CostLine]:
    for leg in seen.legs:
        yield CostLine(f"funding of {leg.leg}", funding_text(leg.funding, leg.side, seen.held_hours), "")
    buy, sell = (leg.funding for leg in seen.legs)
    if any(funding is not None and not funding.known for funding in (buy, sell)):
        yield CostLine("carry", "unknown: counted as 0 in what follows, and refused", "0")
        return
    rates = f"{'0' if sell is None else sell.rates} - {_signed(None if buy is None else buy.rates)}"
    yield CostLine("carry", f"{bought} x ({rates})", carry)


def _signed(rates: str | None) -> str:
    rates = rates or "0"
    return f"({rates})" if rates.startswith("-") else rates


def funding_text(funding: FundingView | None, side: str, hours: str) -> str:
    """What a leg's funding does while the position is held."""
    if funding is None:
        return "spot: none"
    if not funding.known:
        return f"unknown: {funding.why_unknown}"
    every = f"every {funding.interval_hours} h"
    if not funding.settlements_ns:
        return f"rate {funding.rate}, {every}: no settlement in the {hours} h that it is held"
    times = ", ".join(_clock(time_ns) for time_ns in funding.settlements_ns)
    count = len(funding.settlements_ns)
    when = f"at the one settlement in {hours} h" if count == 1 else f"at each of {count} settlements in {hours} h"
    return f"rate {funding.rate}, {_flow(funding, side)} {when} ({every}): {times} UTC"


def _flow(funding: FundingView, side: str) -> str:
    """Longs pay shorts where the rate is positive, shorts pay longs where it is not."""
    is_negative = (funding.rate or "").startswith("-")
    return "paid" if (side == "buy") != is_negative else "received"


def _clock(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime("%m-%d %H:%M:%S")


def _minus(usd: str | None) -> str:
    if usd is None or usd == "0":
        return "0"
    return usd.removeprefix("-") if usd.startswith("-") else f"-{usd}"
