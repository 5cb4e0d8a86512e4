"""The walk through two books, and what it costs: DESIGN section 5, steps 1 to 4.

All numbers are integers. Unit prices are multiples of 1/price_scale, unit sizes of 1/size_scale, money of
1/(price_scale * size_scale); fees and slippage are multiples of 1/FRACTION_SCALE, funding rates of 1/SCALE.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from math import lcm
from typing import NamedTuple

from mts_stream.domain.exact import FRACTION_SCALE, SCALE, SHARE_SCALE, scaled_decimal
from mts_stream.domain.instrument import Instrument
from mts_stream.domain.order_book import ScaledLevel


@dataclass(frozen=True, slots=True)
class PairScale:
    """What one unit price and one unit size of a pair are in integers, exact for every leg's multiplier."""

    price_scale: int
    size_scale: int

    @property
    def money_scale(self) -> int:
        """What one USD is in integers."""
        return self.price_scale * self.size_scale

    @classmethod
    def of(cls, instruments: Iterable[Instrument]) -> "PairScale":
        """The smallest scale on which every leg's prices (quoted / multiplier) and sizes (* multiplier) are whole."""
        ratios = [instrument.multiplier.as_integer_ratio() for instrument in instruments]
        return cls(SCALE * lcm(*(n for n, _ in ratios)), SCALE * lcm(*(d for _, d in ratios)))


@dataclass(frozen=True, slots=True)
class UnitFactors:
    """How a leg's quoted integers become unit integers of its pair, and its lot in them."""

    price: int
    size: int
    lot: int

    @classmethod
    def of(cls, instrument: Instrument, scale: PairScale) -> "UnitFactors":
        """Unit price = quoted / multiplier, unit size = quoted * multiplier, unit lot likewise."""
        numerator, denominator = instrument.multiplier.as_integer_ratio()
        price = scale.price_scale // SCALE * denominator // numerator
        size = scale.size_scale // SCALE * numerator // denominator
        return cls(price, size, scaled_decimal(instrument.lot_size, 18) * size)

    def levels(self, quoted: Iterable[ScaledLevel]) -> Iterator[ScaledLevel]:
        """Quoted levels in units of the pair."""
        price_factor, size_factor = self.price, self.size
        for price, size in quoted:
            yield price * price_factor, size * size_factor


class Measures(NamedTuple):
    """What a direction's walks go by between two registry records, on the scale of the pair."""

    buy: UnitFactors
    sell: UnitFactors
    lot: int
    depth_share: int  # 10^-12
    max_notional: int
    window_notionals: tuple[int, ...]


class Costs(NamedTuple):
    """Taker fees of both legs and slippage per leg, as multiples of 1/FRACTION_SCALE; `turns` is k of step 1."""

    buy_fee: int
    sell_fee: int
    slippage: int
    turns: int

    def adds(self, bid: int, ask: int) -> bool:
        """Whether selling at `bid` what was bought at `ask` adds to net before carry."""
        sold = FRACTION_SCALE - self.turns * self.sell_fee - self.slippage
        bought = FRACTION_SCALE + self.turns * self.buy_fee + self.slippage
        return bid * sold > ask * bought


class Fill(NamedTuple):
    """One step of a walk: so much bought at `ask` and sold at `bid`."""

    size: int
    ask: int
    bid: int


class WalkEnd(Enum):
    """What ended a walk."""

    NOTIONAL = "max_notional"  # the third bound was not larger than the other two
    PRICE = "price"  # the next step would take from net before carry
    ASKS = "asks_end"  # the buy leg's book ends there
    BIDS = "bids_end"


class Walk(NamedTuple):
    """A finished walk: what is left of it after step 2, and what ended it."""

    size: int
    buy_notional: int
    sell_notional: int
    end: WalkEnd

    @property
    def filled(self) -> bool:
        """Whether the notional bound ended it, not the books."""
        return self.end is WalkEnd.NOTIONAL


def walk(
    asks: Iterator[ScaledLevel], bids: Iterator[ScaledLevel], max_notional: int, lot: int, costs: Costs | None
) -> Walk:
    """Steps 1 and 2: take both books from the best while it pays (always, without `costs`), then floor to the lot."""
    fills, end = take(asks, bids, max_notional, lot, costs)
    fills = floored(fills, lot)
    return Walk(
        sum(fill.size for fill in fills),
        sum(fill.size * fill.ask for fill in fills),
        sum(fill.size * fill.bid for fill in fills),
        end,
    )


def take(
    asks: Iterator[ScaledLevel], bids: Iterator[ScaledLevel], max_notional: int, lot: int, costs: Costs | None
) -> tuple[list[Fill], WalkEnd]:
    """Step 1: the fills from the best outward, and what ended them; the one that the notional bounds may be empty."""
    fills: list[Fill] = []
    used = ask = bid = ask_size = bid_size = 0
    while True:
        if not ask_size:
            ask, ask_size = next(asks, (0, 0))
        if not bid_size:
            bid, bid_size = next(bids, (0, 0))
        if not ask_size or not bid_size:
            return fills, WalkEnd.BIDS if ask_size else WalkEnd.ASKS
        if costs is not None and not costs.adds(bid, ask):
            return fills, WalkEnd.PRICE
        offered = min(ask_size, bid_size)
        affordable = (max_notional - used) // ask
        affordable -= affordable % lot
        size = min(offered, affordable)
        fills.append(Fill(size, ask, bid))
        used += size * ask
        if affordable <= offered:
            return fills, WalkEnd.NOTIONAL
        ask_size -= size
        bid_size -= size


def floored(fills: list[Fill], lot: int) -> list[Fill]:
    """Step 2: whole lots; what the floor cuts off is taken from the last, worst fills."""
    surplus = sum(fill.size for fill in fills) % lot
    if not surplus:
        return fills
    kept = list(fills)
    while surplus:
        size, ask, bid = kept.pop()
        if size > surplus:
            kept.append(Fill(size - surplus, ask, bid))
        surplus = max(0, surplus - size)
    return kept


def counted(levels: Iterable[ScaledLevel], share: int, lot: int) -> Iterator[ScaledLevel]:
    """What of each level may be counted on: the share (10^-12) of its size, floored to the leg's lot.

    A level of which less than a lot is left is left out: others are quicker there.
    """
    for price, size in levels:
        part = size * share // SHARE_SCALE
        part -= part % lot
        if part:
            yield price, part


@dataclass(slots=True, init=False)
class Amounts:
    """Step 3 and 4 of a walk; every amount is a multiple of 1/(money_scale * FRACTION_SCALE * SCALE) USD."""

    size: int
    buy_notional: int
    sell_notional: int
    gross: int
    fees: int
    slippage: int
    carry: int
    net: int
    net_entry: int
    net_round_trip: int

    def __init__(  # written out: compiled, and not for every walk interpreted
        self, size: int, buy_notional: int, sell_notional: int, gross: int, fees: int, slippage: int, carry: int,
        net: int, net_entry: int, net_round_trip: int,
    ) -> None:  # fmt: skip
        self.size, self.buy_notional, self.sell_notional = size, buy_notional, sell_notional
        self.gross, self.fees, self.slippage, self.carry = gross, fees, slippage, carry
        self.net, self.net_entry, self.net_round_trip = net, net_entry, net_round_trip

    @classmethod
    def of(cls, walked: Walk, costs: Costs, rates: int) -> "Amounts":
        """The amounts of a walk; `rates` is the sell leg's sum of funding rates minus the buy leg's."""
        bought, sold = walked.buy_notional, walked.sell_notional
        gross = (sold - bought) * FRACTION_SCALE * SCALE
        fees = (bought * costs.buy_fee + sold * costs.sell_fee) * SCALE
        slippage = costs.slippage * (bought + sold) * SCALE
        carry = bought * rates * FRACTION_SCALE
        net_entry = gross - fees - slippage + carry
        net_round_trip = net_entry - fees
        net = net_round_trip if costs.turns == 2 else net_entry
        return cls(walked.size, bought, sold, gross, fees, slippage, carry, net, net_entry, net_round_trip)
