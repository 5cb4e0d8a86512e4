"""Two sides of two books, walked together: the asks of a direction's buy leg and the bids of its sell leg.

It is the reference of walker_compiled.pyx: both give the same to the last digit.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from mts_stream.domain.exact import FRACTION_SCALE, SHARE_SCALE, plain_rounded
from mts_stream.domain.order_book import ScaledLevel
from mts_stream.domain.pricing import Costs, Measures, Walk, counted, walk
from mts_stream.domain.windows import EDGE_DECIMALS, Edge, WalkedNets

if TYPE_CHECKING:
    from mts_stream.domain.kernel import Book


class Touch(NamedTuple):
    """The best levels of a moment: their edge, and whether a first step adds to net before carry."""

    edge: Edge
    adds: bool


class Walker:
    """Looks at the books as they are whenever it is asked; both must be valid then."""

    def __init__(self, buy_book: "Book", sell_book: "Book", measures: Measures) -> None:
        self._buy_book, self._sell_book, self._measures = buy_book, sell_book, measures
        self._touch_of: tuple[int, int, Costs] | None = None
        self._touch = Touch(Edge(0, 0), False)

    def touch(self, costs: Costs) -> Touch:
        """The touch now; the very same object as before while nothing of it changed."""
        ask, bid = self._buy_book.best_ask, self._sell_book.best_bid
        assert ask is not None and bid is not None, "a valid book has both sides"
        now = (ask, bid, costs)
        if now != self._touch_of:
            ask, bid = ask * self._measures.buy.price, bid * self._measures.sell.price
            self._touch_of, self._touch = now, Touch(Edge.of(bid, ask), costs.adds(bid, ask))
        return self._touch

    def walk(self, costs: Costs) -> Walk:
        """Steps 1 and 2 of DESIGN section 5, up to MAX_NOTIONAL."""
        measures = self._measures
        return walk(*self.counted_levels(), measures.max_notional, measures.lot, costs)

    def nets(self, costs: Costs) -> WalkedNets:
        """Net before carry, in bps, of entering with 1k, 10k and 50k USD whatever the edge.

        Null where the books end before the notional does, and where it does not buy a lot.
        """
        small, middle, large = (self._net_bps(notional, costs) for notional in self._measures.window_notionals)
        return small, middle, large

    def _net_bps(self, max_notional: int, costs: Costs) -> str | None:
        walked = walk(*self.counted_levels(), max_notional, self._measures.lot, None)
        if not walked.filled or not walked.size:
            return None
        bought, sold = walked.buy_notional, walked.sell_notional
        cost = bought * costs.buy_fee + sold * costs.sell_fee + costs.slippage * (bought + sold)
        net = (sold - bought) * FRACTION_SCALE - cost
        return plain_rounded(net * 10**4, bought * FRACTION_SCALE, EDGE_DECIMALS)

    def counted_levels(self) -> tuple[Iterator[ScaledLevel], Iterator[ScaledLevel]]:
        """The levels from the best, as far as MAX_DEPTH_SHARE counts them."""
        asks, bids = self.levels()
        measures = self._measures
        if measures.depth_share == SHARE_SCALE:
            return asks, bids
        share = measures.depth_share
        return counted(asks, share, measures.buy.lot), counted(bids, share, measures.sell.lot)

    def levels(self) -> tuple[Iterator[ScaledLevel], Iterator[ScaledLevel]]:
        """The levels from the best, in units of the pair."""
        asks = self._measures.buy.levels(self._buy_book.asks.from_best())
        return asks, self._measures.sell.levels(self._sell_book.bids.from_best())
