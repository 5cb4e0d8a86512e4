# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""walker.py once more, over the arrays of two compiled books: the same results, many times as fast.

Prices and sizes of both sides are brought to common units, the largest in which all of them, and the lots, are whole:
a price is its book's number times `factor`, in 64 bits, and products have 128. What does not stay within the limits
below, and books that 64 bits do not hold, are walked by the Python walker, so that there is no overflow to think of.
"""

from math import gcd

from libc.stdint cimport INT64_MAX, int64_t, uint64_t
from libc.stdlib cimport free, realloc

from mts_stream.domain.order_book_compiled cimport CompiledBook, CompiledSide

from mts_stream.domain.exact import DECIMALS, FRACTION_SCALE, SHARE_SCALE
from mts_stream.domain.pricing import Walk, WalkEnd
from mts_stream.domain.walker import Touch, Walker
from mts_stream.domain.windows import Edge

cdef extern from *:
    """
    typedef __int128 mts_wide;
    """
    ctypedef long long wide "mts_wide"  # 128 bits; Cython only has to know that it is a number

cdef enum:
    FILLS_MIN = 16

cdef enum End:
    AT_NOTIONAL
    AT_PRICE
    AT_ASKS_END
    AT_BIDS_END
    TOO_LARGE  # for 128 bits: Python walks

# A price times a size is below 2^124. What is bought is at most 2^70, what is sold 2^72, fees and slippage of a leg are
# at most the whole (below 2^54), so that what is left of it all stays below 2^127.
cdef int64_t NUMBER_END = (<int64_t> 1) << 62
cdef wide NOTIONAL_MAX = (<wide> 1) << 70
cdef wide SOLD_MAX = (<wide> 1) << 72
cdef int64_t WHOLE = FRACTION_SCALE
cdef int64_t SHARE_WHOLE = SHARE_SCALE
cdef int64_t EDGE_UNITS = 10**8  # 10^-4 bps
cdef int64_t FINE_UNITS = 10**16
cdef list UNITS = [10 ** (DECIMALS - decimals) for decimals in range(DECIMALS + 1)]
cdef tuple ENDS = (WalkEnd.NOTIONAL, WalkEnd.PRICE, WalkEnd.ASKS, WalkEnd.BIDS)

assert FRACTION_SCALE == 10**16 and SHARE_SCALE == 10**12


cdef struct Fill:
    int64_t size
    int64_t ask
    int64_t bid


cdef struct Sums:
    wide size
    wide bought
    wide sold


cdef struct Fees:
    int64_t buy  # with the slippage, of WHOLE
    int64_t sell
    int64_t bought  # what one unit costs, and what is left of one that is sold, by step 1's condition
    int64_t sold


cdef wide half_even(wide numerator, wide denominator) noexcept nogil:
    """The quotient to the nearest integer, ties to the even one; the denominator is positive and below 2^126."""
    cdef wide quotient = numerator / denominator
    cdef wide rest = numerator - quotient * denominator
    if rest < 0:
        rest += denominator
        quotient -= 1
    if 2 * rest > denominator or (2 * rest == denominator and quotient & 1):
        quotient += 1
    return quotient


cdef object as_object(wide number):
    """The same as Python's integer."""
    if -NUMBER_END < number < NUMBER_END:
        return <int64_t> number
    return (<object> (<int64_t> (number >> 64)) << 64) | <uint64_t> number


cdef str plain4(wide number):
    """A number of 10^-4 as `exact.plain` writes it."""
    cdef char[40] digits
    cdef int at = 40, decimals = 4, digit
    cdef bint is_negative = number < 0, is_written = False
    if is_negative:
        number = -number
    while number or decimals >= 0:
        digit = <int> (number % 10)
        number = number / 10
        if decimals > 0:
            if digit or is_written:
                at -= 1
                digits[at] = 48 + digit
                is_written = True
        else:
            if decimals == 0 and is_written:
                at -= 1
                digits[at] = 46
            at -= 1
            digits[at] = 48 + digit
        decimals -= 1
    if is_negative:
        at -= 1
        digits[at] = 45
    return digits[at:40].decode("ascii")


cdef class CompiledWalker:
    """Looks at the books as they are whenever it is asked; both must be valid then."""

    cdef CompiledBook buy_book
    cdef CompiledBook sell_book
    cdef CompiledSide asks
    cdef CompiledSide bids
    cdef object measures
    cdef object reference  # the Python walker of the same books
    cdef bint units_fit  # 64 bits
    cdef bint fees_fit
    cdef int[4] decimals  # of prices and sizes of asks and bids, as the units were made for
    cdef int64_t ask_factor
    cdef int64_t bid_factor
    cdef int64_t ask_size_factor
    cdef int64_t bid_size_factor
    cdef int64_t ask_end  # the largest numbers of the books that stay within NUMBER_END with their factors
    cdef int64_t bid_end
    cdef int64_t ask_size_end
    cdef int64_t bid_size_end
    cdef int64_t lot
    cdef int64_t ask_lot
    cdef int64_t bid_lot
    cdef int64_t share
    cdef wide max_notional
    cdef wide[3] window_notionals
    cdef object size_unit
    cdef object money_unit
    cdef object costs
    cdef Fees fees
    cdef object walked  # the last walk, and the numbers of which it was made
    cdef Sums walked_sums
    cdef int walked_end
    cdef object touched
    cdef int64_t touched_ask
    cdef int64_t touched_bid
    cdef Fill *fills
    cdef Py_ssize_t capacity
    cdef Py_ssize_t count

    def __init__(self, CompiledBook buy_book not None, CompiledBook sell_book not None, measures):
        self.buy_book, self.sell_book, self.measures = buy_book, sell_book, measures
        self.asks, self.bids = buy_book.ask_side, sell_book.bid_side
        self.reference = Walker(buy_book, sell_book, measures)
        self.decimals[0] = -1

    def __dealloc__(self):
        free(self.fills)

    def counted_levels(self):
        """The levels from the best, as far as MAX_DEPTH_SHARE counts them."""
        return self.reference.counted_levels()

    def levels(self):
        """The levels from the best, in units of the pair."""
        return self.reference.levels()

    def touch(self, costs):
        """The touch now; the very same object as before while nothing of it changed."""
        cdef int64_t ask, bid
        cdef wide edge
        if not self.is_ready(costs):
            return self.reference.touch(costs)
        ask, bid = self.asks.prices[self.asks.count - 1], self.bids.prices[self.bids.count - 1]
        if self.touched is not None and ask == self.touched_ask and bid == self.touched_bid:
            return self.touched
        if ask > self.ask_end or bid > self.bid_end:
            return self.reference.touch(costs)
        self.touched_ask, self.touched_bid = ask, bid
        ask *= self.ask_factor
        bid *= self.bid_factor
        edge = <wide> bid - ask
        self.touched = Touch(
            Edge(as_object(half_even(edge * EDGE_UNITS, ask)), as_object(half_even(edge * FINE_UNITS, ask))),
            <wide> bid * self.fees.sold > <wide> ask * self.fees.bought,
        )
        return self.touched

    def walk(self, costs):
        """Steps 1 and 2 of DESIGN section 5, up to MAX_NOTIONAL."""
        cdef Sums sums
        cdef int end = TOO_LARGE
        if self.is_ready(costs):
            end = self.take(&self.max_notional, 1, True, &sums)
        if end == TOO_LARGE:
            return self.reference.walk(costs)
        if (
            self.walked is None or end != self.walked_end or sums.size != self.walked_sums.size
            or sums.bought != self.walked_sums.bought or sums.sold != self.walked_sums.sold
        ):
            self.walked_sums, self.walked_end = sums, end
            self.walked = Walk(
                as_object(sums.size) * self.size_unit,
                as_object(sums.bought) * self.money_unit,
                as_object(sums.sold) * self.money_unit,
                ENDS[end],
            )
        return self.walked

    def nets(self, costs):
        """Net before carry, in bps, of entering with 1k, 10k and 50k USD whatever the edge.

        Null where the books end before the notional does, and where it does not buy a lot.
        """
        cdef Sums[3] sums
        cdef int i
        cdef wide cost
        cdef list texts = []
        for i in range(3):
            sums[i].size = 0
        if not self.is_ready(costs) or self.take(self.window_notionals, 3, False, sums) == TOO_LARGE:
            return self.reference.nets(costs)
        for i in range(3):
            if sums[i].size == 0:
                texts.append(None)
                continue
            cost = sums[i].bought * self.fees.buy + sums[i].sold * self.fees.sell
            texts.append(plain4(half_even((sums[i].sold - sums[i].bought) * WHOLE - cost, sums[i].bought * EDGE_UNITS)))
        return tuple(texts)

    cdef bint is_ready(self, costs) except -1:
        """Whether 64 bits hold the books, in units that are up to date, and these costs."""
        cdef CompiledSide asks = self.asks, bids = self.bids
        if self.buy_book.wide is not None or self.sell_book.wide is not None:
            return False
        if (
            asks.price_decimals != self.decimals[0] or bids.price_decimals != self.decimals[1]
            or asks.size_decimals != self.decimals[2] or bids.size_decimals != self.decimals[3]
        ):
            self.find_units()
            self.costs = self.walked = None
        if costs is not self.costs:
            self.take_costs(costs)
        return self.units_fit and self.fees_fit

    cdef int find_units(self) except -1:
        cdef CompiledSide asks = self.asks, bids = self.bids
        measures = self.measures
        self.decimals[0], self.decimals[1] = asks.price_decimals, bids.price_decimals
        self.decimals[2], self.decimals[3] = asks.size_decimals, bids.size_decimals
        prices = [
            UNITS[asks.price_decimals] * measures.buy.price, UNITS[bids.price_decimals] * measures.sell.price
        ]
        sizes = [
            UNITS[asks.size_decimals] * measures.buy.size, UNITS[bids.size_decimals] * measures.sell.size,
            measures.lot, measures.buy.lot, measures.sell.lot,
        ]
        price_unit, self.size_unit = gcd(*prices), gcd(*sizes)
        self.money_unit = price_unit * self.size_unit
        notionals = [notional // self.money_unit for notional in (measures.max_notional, *measures.window_notionals)]
        numbers = [*(price // price_unit for price in prices), *(size // self.size_unit for size in sizes)]
        self.units_fit = 0 < min(numbers) and max(numbers) < NUMBER_END and max(notionals) < 2**70
        if self.units_fit:
            self.ask_factor, self.bid_factor, self.ask_size_factor, self.bid_size_factor = numbers[:4]
            self.ask_end, self.bid_end = NUMBER_END // numbers[0], NUMBER_END // numbers[1]
            self.ask_size_end, self.bid_size_end = NUMBER_END // numbers[2], NUMBER_END // numbers[3]
            self.lot, self.ask_lot, self.bid_lot = numbers[4:]
            self.share = measures.depth_share
            self.max_notional = in_c(notionals[0])
            for i in range(3):
                self.window_notionals[i] = in_c(notionals[i + 1])
        return 0

    cdef int take_costs(self, costs) except -1:
        self.costs, self.touched = costs, None
        buy, sell, slippage, turns = costs.buy_fee, costs.sell_fee, costs.slippage, costs.turns
        self.fees_fit = max(abs(buy + slippage), abs(sell + slippage)) <= WHOLE
        if self.fees_fit:
            self.fees.buy, self.fees.sell = buy + slippage, sell + slippage
            self.fees.bought, self.fees.sold = WHOLE + turns * buy + slippage, WHOLE - turns * sell - slippage
        return 0

    cdef int take(self, wide *limits, int limit_count, bint while_it_adds, Sums *sums) except -1:
        """Both books from the best up to each of some rising notionals, of which the last may be left where they end.

        A walk to a smaller notional takes what one to a larger one takes, but for its own last step.
        """
        cdef CompiledSide asks = self.asks, bids = self.bids
        cdef Py_ssize_t ask_at = asks.count, bid_at = bids.count
        cdef int64_t ask = 0, bid = 0, ask_size = 0, bid_size = 0, offered
        cdef wide affordable
        cdef Sums taken
        cdef int limit = 0
        taken.size = taken.bought = taken.sold = 0
        self.count = 0
        while True:
            while not ask_size and ask_at:
                ask_at -= 1
                if asks.prices[ask_at] > self.ask_end:
                    return TOO_LARGE
                if asks.sizes_[ask_at] > self.ask_size_end:
                    return TOO_LARGE
                ask = asks.prices[ask_at] * self.ask_factor
                ask_size = self.counted(asks.sizes_[ask_at] * self.ask_size_factor, self.ask_lot)
            while not bid_size and bid_at:
                bid_at -= 1
                if bids.prices[bid_at] > self.bid_end:
                    return TOO_LARGE
                if bids.sizes_[bid_at] > self.bid_size_end:
                    return TOO_LARGE
                bid = bids.prices[bid_at] * self.bid_factor
                bid_size = self.counted(bids.sizes_[bid_at] * self.bid_size_factor, self.bid_lot)
            if not ask_size or not bid_size:
                if while_it_adds:
                    self.finish(taken, sums)
                return AT_BIDS_END if ask_size else AT_ASKS_END
            if while_it_adds and not <wide> bid * self.fees.sold > <wide> ask * self.fees.bought:
                self.finish(taken, sums)
                return AT_PRICE
            offered = min(ask_size, bid_size)
            while True:
                affordable = (limits[limit] - taken.bought) / ask
                affordable -= affordable % self.lot
                if affordable > offered:
                    break
                if self.add(&taken, <int64_t> affordable, ask, bid) == TOO_LARGE:
                    return TOO_LARGE
                self.finish(taken, &sums[limit])
                limit += 1
                if limit == limit_count:
                    return AT_NOTIONAL
                self.count -= 1
                taken.size -= affordable
                taken.bought -= affordable * ask
                taken.sold -= affordable * bid
            if self.add(&taken, offered, ask, bid) == TOO_LARGE:
                return TOO_LARGE
            ask_size -= offered
            bid_size -= offered

    cdef int64_t counted(self, int64_t size, int64_t lot) noexcept:
        """What of a level may be counted on: the share of its size, in whole lots of its leg."""
        cdef int64_t part
        if self.share == SHARE_WHOLE:
            return size
        part = <int64_t> (<wide> size * self.share / SHARE_WHOLE)
        return part - part % lot

    cdef int add(self, Sums *taken, int64_t size, int64_t ask, int64_t bid) except -1:
        cdef Fill *moved
        if self.count == self.capacity:
            self.capacity = max(2 * self.capacity, FILLS_MIN)
            moved = <Fill *> realloc(self.fills, self.capacity * sizeof(Fill))
            if moved == NULL:
                raise MemoryError
            self.fills = moved
        self.fills[self.count].size = size
        self.fills[self.count].ask = ask
        self.fills[self.count].bid = bid
        self.count += 1
        taken.size += size
        taken.bought += <wide> size * ask
        taken.sold += <wide> size * bid
        return TOO_LARGE if taken.bought > NOTIONAL_MAX or taken.sold > SOLD_MAX else AT_NOTIONAL

    cdef void finish(self, Sums taken, Sums *sums) noexcept:
        """Step 2: whole lots; what the floor cuts off is taken from the last, worst fills."""
        cdef wide surplus = taken.size % self.lot, cut
        cdef Py_ssize_t at = self.count
        taken.size -= surplus
        while surplus:
            at -= 1
            cut = min(<wide> self.fills[at].size, surplus)
            taken.bought -= cut * self.fills[at].ask
            taken.sold -= cut * self.fills[at].bid
            surplus -= cut
        sums[0] = taken


cdef wide in_c(number) except? -1:
    """Python's integer, which is not negative and below 2^126."""
    return (<wide> <uint64_t> (number >> 64) << 64) | <uint64_t> (number & 0xFFFFFFFFFFFFFFFF)
