# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""order_book.py once more, over sorted arrays of 64-bit numbers: the same results, several times as fast.

A book keeps its numbers as integers of 10^-decimals, with as many decimals as it has seen; what has more rescales it.
Levels in the form that venues write are read here. Any other byte, and any number that 64 bits do not hold, goes
through the Python code, so that errors are its errors; levels beyond 64 bits are kept in a Python book (`wide`),
until a snapshot that fits replaces it.
"""

from math import gcd

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport INT16_MAX, INT16_MIN, INT32_MAX, INT32_MIN, INT64_MAX, INT8_MAX, INT8_MIN, int64_t
from libc.stdlib cimport free, malloc, qsort, realloc
from libc.string cimport memcmp, memcpy, memmove

from mts_stream.domain.exact import DECIMALS
from mts_stream.domain.order_book import Change, OrderBook, change_of, read_levels, sizes_of

cdef enum:
    NARROW_DIGITS = 18  # numbers below 10^18: a sum of two, and a number times its sign, fit into 64 bits
    NUMBER_DECIMALS = 18
    LEVEL_BYTES_MIN = 10  # ["1","1"],
    QUOTED_LEVEL_BYTES_MAX = 8 + 2 * (NARROW_DIGITS + 2)  # ["0.1","0.1"], with all digits behind the point
    CAPACITY_MIN = 32

cdef enum Reading:
    READ
    MORE_PRICE_DECIMALS
    MORE_SIZE_DECIMALS
    ODD

cdef int64_t POWERS[NUMBER_DECIMALS + 1]
cdef int power
POWERS[0] = 1
for power in range(NUMBER_DECIMALS):
    POWERS[power + 1] = POWERS[power] * 10
cdef int64_t NARROW_END = POWERS[NARROW_DIGITS]

assert DECIMALS == NUMBER_DECIMALS
cdef list UNITS = [10 ** (NUMBER_DECIMALS - decimals) for decimals in range(NUMBER_DECIMALS + 1)]


# Reading. Every byte is compared before the next is looked at, and a bytes object ends in a NUL: nothing is read beyond.


cdef inline Reading read_number(const unsigned char **cursor, int decimals, int64_t *number) noexcept nogil:
    """A number up to its quotation mark, as an integer of 10^-decimals."""
    cdef const unsigned char *p = cursor[0]
    cdef const unsigned char *begin = p
    cdef int64_t value = 0
    cdef int left
    while 48 <= p[0] <= 57:
        if p - begin == NARROW_DIGITS:
            return ODD
        value = value * 10 + (p[0] - 48)
        p += 1
    if p == begin or p - begin + decimals > NARROW_DIGITS:
        return ODD
    left = decimals
    if p[0] == 46:  # a point
        p += 1
        begin = p
        while left and 48 <= p[0] <= 57:
            value = value * 10 + (p[0] - 48)
            p += 1
            left -= 1
        if not left:
            while p[0] == 48:
                p += 1
            if 49 <= p[0] <= 57:
                cursor[0] = begin
                return MORE_PRICE_DECIMALS
        if p == begin or p - begin > NUMBER_DECIMALS:
            return ODD
    cursor[0] = p
    number[0] = value * POWERS[left]
    return READ


cdef int decimals_at(const unsigned char *p) noexcept nogil:
    """How many decimals a fraction has, without its last zeros; more than NUMBER_DECIMALS where there are too many."""
    cdef int seen = 0, needed = 0
    while 48 <= p[seen] <= 57 and seen <= NUMBER_DECIMALS:
        seen += 1
        if p[seen - 1] != 48:
            needed = seen
    return needed


cdef Reading read_side(
    const unsigned char *p, const unsigned char *end, int *decimals, Level *levels, Py_ssize_t *count
) noexcept nogil:
    """A side in the venues' form, without blanks; where more decimals are needed it says so and notes how many."""
    cdef Py_ssize_t n = 0
    cdef Reading reading
    if p[0] != 91:  # [
        return ODD
    p += 1
    if p[0] != 93:  # ]
        while True:
            if p[0] != 91 or p[1] != 34:  # ["
                return ODD
            p += 2
            reading = read_number(&p, decimals[0], &levels[n].price)
            if reading != READ:
                if reading == MORE_PRICE_DECIMALS:
                    decimals[0] = decimals_at(p)
                return reading
            if p[0] != 34 or p[1] != 44 or p[2] != 34:  # ","
                return ODD
            p += 3
            reading = read_number(&p, decimals[1], &levels[n].size)
            if reading != READ:
                if reading == MORE_PRICE_DECIMALS:
                    decimals[1] = decimals_at(p)
                    return MORE_SIZE_DECIMALS
                return reading
            if p[0] != 34 or p[1] != 93 or levels[n].price == 0:  # "]
                return ODD
            p += 2
            n += 1
            if p[0] == 93:
                break
            if p[0] != 44:
                return ODD
            p += 1
    count[0] = n
    return READ if p + 1 == end else ODD


cdef int by_price(const void *one, const void *other) noexcept nogil:
    """For qsort: rising prices; among equal ones the order in which they stand, which their addresses tell."""
    cdef const Level *a = (<const Level **> one)[0]
    cdef const Level *b = (<const Level **> other)[0]
    if a.price != b.price:
        return -1 if a.price < b.price else 1
    return -1 if a < b else 1


cdef bint all_fit(int64_t *numbers, Py_ssize_t count, Py_ssize_t step, int more_decimals) noexcept nogil:
    """Whether numbers stay below 10^18 with so many more decimals."""
    cdef int64_t most = 0
    cdef Py_ssize_t i
    for i in range(count):
        if numbers[i * step] > most:
            most = numbers[i * step]
    return not most or (more_decimals <= NARROW_DIGITS and most < NARROW_END / POWERS[more_decimals])


cdef void multiply(int64_t *numbers, Py_ssize_t count, Py_ssize_t step, int more_decimals) noexcept nogil:
    """Give numbers more decimals."""
    cdef int64_t factor = POWERS[more_decimals]
    cdef Py_ssize_t i
    for i in range(count):
        numbers[i * step] *= factor


# Writing, as exact.plain does.


cdef unsigned char *write_number(unsigned char *p, int64_t number, int decimals) noexcept nogil:
    """A number of 10^-decimals without its last zeros; where it ends."""
    cdef unsigned char[NARROW_DIGITS + 2] digits  # the last one first
    cdef int count = 0
    while decimals and number % 10 == 0:
        number //= 10
        decimals -= 1
    while number or count <= decimals:
        digits[count] = <unsigned char> (48 + number % 10)
        number //= 10
        count += 1
    while count:
        if count == decimals:
            p[0] = 46
            p += 1
        count -= 1
        p[0] = digits[count]
        p += 1
    return p


cdef unsigned char *write_level(
    unsigned char *p, int64_t price, int price_decimals, int64_t size, int size_decimals
) noexcept nogil:
    """["price","size"]; where it ends."""
    memcpy(p, b'["', 2)
    p = write_number(p + 2, price, price_decimals)
    memcpy(p, b'","', 3)
    p = write_number(p + 3, size, size_decimals)
    memcpy(p, b'"]', 2)
    return p + 2


cdef class CompiledSide:
    """One side of a book; prices and sizes seen from outside are integers of 10^-18."""

    def __cinit__(self, bint is_bids):
        self.is_bids = is_bids

    def __dealloc__(self):
        free(self.prices)
        free(self.sizes_)

    def __len__(self):
        return self.count

    @property
    def best(self):
        """The best price, or None for an empty side."""
        return self.best_price()

    @property
    def sizes(self):
        """Sizes by price, made anew for each look."""
        return dict(self.from_best())

    def from_best(self):
        """Levels from the best one outward."""
        cdef object price_unit = UNITS[self.price_decimals], size_unit = UNITS[self.size_decimals]
        cdef Py_ssize_t i = self.count
        while 0 < i <= self.count:
            i -= 1
            yield self.prices[i] * price_unit, self.sizes_[i] * size_unit

    def snapshot(self):
        """Prices from the best outward, and their sizes, as JSON data."""
        return [
            packed_numbers(self.prices, self.count, self.price_decimals, True),
            packed_numbers(self.sizes_, self.count, self.size_decimals, False),
        ]

    def quoted(self):
        """Levels from the best one outward as venues write them: JSON of [price, size], plain decimal strings."""
        cdef unsigned char *text = <unsigned char *> malloc(self.count * QUOTED_LEVEL_BYTES_MAX + 2)
        cdef unsigned char *end = text
        cdef Py_ssize_t i
        if text == NULL:
            raise MemoryError
        end[0] = 91  # [
        end += 1
        for i in range(self.count - 1, -1, -1):
            end = write_level(end, self.prices[i], self.price_decimals, self.sizes_[i], self.size_decimals)
            if i:
                end[0] = 44  # ,
                end += 1
        end[0] = 93  # ]
        try:
            return PyBytes_FromStringAndSize(<const char *> text, end - text + 1)
        finally:
            free(text)

    cdef object best_price(self):
        if not self.count:
            return None
        return self.prices[self.count - 1] * UNITS[self.price_decimals]

    cdef int reserve(self, Py_ssize_t count) except -1:
        """Room for so many levels; what is far too much is given back."""
        cdef Py_ssize_t capacity = CAPACITY_MIN
        cdef int64_t *moved
        if count <= self.capacity and (self.capacity <= 4 * CAPACITY_MIN or 8 * count >= self.capacity):
            return 0
        while capacity < count:
            capacity *= 2
        moved = <int64_t *> realloc(self.prices, capacity * sizeof(int64_t))
        if moved == NULL:
            raise MemoryError
        self.prices = moved
        moved = <int64_t *> realloc(self.sizes_, capacity * sizeof(int64_t))
        if moved == NULL:
            raise MemoryError
        self.sizes_ = moved
        self.capacity = capacity
        return 0

    cdef int fill(self, Level *levels, Py_ssize_t count, int price_decimals, int size_decimals) except -1:
        """Take levels in any order for the whole side; of a price that comes twice the last size that is not 0."""
        cdef Py_ssize_t i, n = 0
        cdef int64_t last = INT64_MAX if self.is_bids else 0
        self.count = 0
        self.reserve(count)
        self.price_decimals, self.size_decimals = price_decimals, size_decimals
        for i in range(count - 1, -1, -1):
            if levels[i].size == 0:
                continue
            if n and (levels[i].price <= last) == self.is_bids:
                return self.fill_sorted(levels, count)
            if n and levels[i].price == last:
                return self.fill_sorted(levels, count)
            last = self.prices[n] = levels[i].price
            self.sizes_[n] = levels[i].size
            n += 1
        self.count = n
        return 0

    cdef int fill_sorted(self, Level *levels, Py_ssize_t count) except -1:
        """The same for levels that are not in order, best ones first."""
        cdef const Level **order = <const Level **> malloc(count * sizeof(Level *))
        cdef Py_ssize_t i, at, n = 0
        if order == NULL:
            raise MemoryError
        for i in range(count):
            order[i] = &levels[i]
        qsort(order, count, sizeof(Level *), by_price)
        for i in range(count):
            at = i if self.is_bids else count - 1 - i
            if order[at].size == 0:
                continue
            if n and self.prices[n - 1] == order[at].price:
                # of equal prices bids meet the last one last and take it over, asks meet it first and keep it
                if self.is_bids:
                    self.sizes_[n - 1] = order[at].size
                continue
            self.prices[n] = order[at].price
            self.sizes_[n] = order[at].size
            n += 1
        free(order)
        self.count = n
        return 0

    cdef int set_level(self, int64_t price, int64_t size) except -1:
        """Set, replace or remove one level; removing an unknown one is normal and does nothing."""
        cdef Py_ssize_t low = 0, high = self.count, middle, behind
        cdef int64_t *prices = self.prices
        if self.is_bids:
            while low < high:
                middle = (low + high) >> 1
                if prices[middle] < price:
                    low = middle + 1
                else:
                    high = middle
        else:
            while low < high:
                middle = (low + high) >> 1
                if prices[middle] > price:
                    low = middle + 1
                else:
                    high = middle
        if low < self.count and prices[low] == price:
            if size:
                self.sizes_[low] = size
                return 0
            behind = self.count - low - 1
            memmove(&prices[low], &prices[low + 1], behind * sizeof(int64_t))
            memmove(&self.sizes_[low], &self.sizes_[low + 1], behind * sizeof(int64_t))
            self.count -= 1
            return 0
        if not size:
            return 0
        if self.count == self.capacity:
            self.reserve(self.count + 1)
        behind = self.count - low
        memmove(&self.prices[low + 1], &self.prices[low], behind * sizeof(int64_t))
        memmove(&self.sizes_[low + 1], &self.sizes_[low], behind * sizeof(int64_t))
        self.prices[low] = price
        self.sizes_[low] = size
        self.count += 1
        return 0

    cdef bint fits(self, int price_decimals, int size_decimals) noexcept:
        return (
            all_fit(self.prices, self.count, 1, price_decimals - self.price_decimals)
            and all_fit(self.sizes_, self.count, 1, size_decimals - self.size_decimals)
        )

    cdef void rescale(self, int price_decimals, int size_decimals) noexcept:
        multiply(self.prices, self.count, 1, price_decimals - self.price_decimals)
        multiply(self.sizes_, self.count, 1, size_decimals - self.size_decimals)
        self.price_decimals, self.size_decimals = price_decimals, size_decimals


cdef class CompiledChange:
    """The levels of a depth record, read and found possible; `is_wide` where 64 bits do not hold them."""

    def __dealloc__(self):
        free(self.levels)

    def __len__(self):
        if self.wide is not None:
            return len(self.wide.bids) + len(self.wide.asks)
        return self.bid_count + self.ask_count

    @property
    def is_wide(self):
        """Whether Python holds the levels."""
        return self.wide is not None

    cdef int reserve(self, Py_ssize_t count) except -1:
        self.levels = <Level *> malloc(count * sizeof(Level))
        if self.levels == NULL:
            raise MemoryError
        return 0

    cdef bint fits(self, int price_decimals, int size_decimals) noexcept:
        cdef Py_ssize_t count = self.bid_count + self.ask_count
        return not count or (
            all_fit(&self.levels[0].price, count, 2, price_decimals - self.price_decimals)
            and all_fit(&self.levels[0].size, count, 2, size_decimals - self.size_decimals)
        )

    cdef void rescale(self, int price_decimals, int size_decimals) noexcept:
        cdef Py_ssize_t count = self.bid_count + self.ask_count
        if count:
            multiply(&self.levels[0].price, count, 2, price_decimals - self.price_decimals)
            multiply(&self.levels[0].size, count, 2, size_decimals - self.size_decimals)
        self.price_decimals, self.size_decimals = price_decimals, size_decimals

    cdef object in_python(self):
        """The change as the Python book takes it."""
        cdef object price_unit = UNITS[self.price_decimals], size_unit = UNITS[self.size_decimals]
        cdef Py_ssize_t i
        if self.wide is not None:
            return self.wide
        levels = [
            (self.levels[i].price * price_unit, self.levels[i].size * size_unit)
            for i in range(self.bid_count + self.ask_count)
        ]
        return Change(levels[: self.bid_count], levels[self.bid_count :])


cdef class CompiledBook:
    """Both sides of a book, with the range of prices in which it is known."""

    def __cinit__(self):
        self.bid_side = CompiledSide(True)
        self.ask_side = CompiledSide(False)
        self.limit()

    @property
    def bids(self):
        """The side to sell to."""
        return self.bid_side if self.wide is None else self.wide.bids

    @property
    def asks(self):
        """The side to buy from."""
        return self.ask_side if self.wide is None else self.wide.asks

    @property
    def best_bid(self):
        """The highest bid."""
        return self.bid_side.best_price() if self.wide is None else self.wide.best_bid

    @property
    def best_ask(self):
        """The lowest ask."""
        return self.ask_side.best_price() if self.wide is None else self.wide.best_ask

    @property
    def decimals(self):
        """Those of the prices and of the sizes."""
        return self.bid_side.price_decimals, self.bid_side.size_decimals

    @property
    def allocated_bytes(self):
        """What the arrays take."""
        return 2 * sizeof(int64_t) * (self.bid_side.capacity + self.ask_side.capacity)

    @property
    def flaw(self):
        """Why nothing may be computed from it: `exhausted`, a side is empty; `crossed`; "" for a sound book."""
        cdef CompiledSide bids = self.bid_side, asks = self.ask_side
        if self.wide is not None:
            return self.wide.flaw
        if not bids.count or not asks.count:
            return "exhausted"
        return "crossed" if bids.prices[bids.count - 1] >= asks.prices[asks.count - 1] else ""

    def read(self, bytes bids not None, bytes asks not None, where):
        """The levels in the venue's own bytes (quoted.py), for this book; the book is not touched.

        Raises BadRecordError: `bad_frame` for another shape, `impossible_number` for what is no price or size.
        """
        cdef CompiledChange change = self.read_at(
            <const unsigned char *> PyBytes_AS_STRING(bids), PyBytes_GET_SIZE(bids),
            <const unsigned char *> PyBytes_AS_STRING(asks), PyBytes_GET_SIZE(asks),
        )
        if change is None:
            change = narrowed(Change(read_levels(bids, where), read_levels(asks, where)))
        return change

    cdef CompiledChange read_at(
        self, const unsigned char *bids, Py_ssize_t bid_bytes, const unsigned char *asks, Py_ssize_t ask_bytes
    ):
        """The levels between these bytes; None where only Python can say what they are."""
        cdef CompiledChange change = CompiledChange.__new__(CompiledChange)
        cdef int[2] decimals
        cdef Reading reading
        decimals[0], decimals[1] = self.bid_side.price_decimals, self.bid_side.size_decimals
        change.reserve((bid_bytes + ask_bytes) // LEVEL_BYTES_MIN + 2)
        while True:
            reading = read_side(bids, bids + bid_bytes, decimals, change.levels, &change.bid_count)
            if reading == READ:
                reading = read_side(
                    asks, asks + ask_bytes, decimals, change.levels + change.bid_count, &change.ask_count
                )
            if reading == READ:
                change.price_decimals, change.size_decimals = decimals[0], decimals[1]
                return change
            if reading == ODD or decimals[0] > NUMBER_DECIMALS or decimals[1] > NUMBER_DECIMALS:
                return None

    def replace(self, change):
        """Take a snapshot for the whole book."""
        cdef CompiledChange whole = compiled(change)
        if whole.wide is not None:
            if self.wide is None:
                self.widen()
            self.wide.replace(whole.wide)
        else:
            self.wide = None
            self.bid_side.fill(whole.levels, whole.bid_count, whole.price_decimals, whole.size_decimals)
            self.ask_side.fill(
                whole.levels + whole.bid_count, whole.ask_count, whole.price_decimals, whole.size_decimals
            )
            self.limit()
        self.version += 1

    def restore(self, bids, asks):
        """Take over both sides' snapshots, of this book or of a Python one."""
        try:
            change = loaded(bids, asks)
        except OverflowError:
            change = None
        self.replace(change_of(bids, asks) if change is None else change)

    def know(self, lowest_bid, highest_ask):
        """State the known range: a REST snapshot covers part of a book (DESIGN section 4)."""
        self.lowest_bid, self.highest_ask = lowest_bid, highest_ask
        self.limit()
        if self.wide is not None:
            self.wide.know(lowest_bid, highest_ask)

    def update(self, change):
        """Apply changed levels; what lies outside the known range is ignored, so no walk meets a half-known level."""
        cdef CompiledChange changed = compiled(change)
        cdef Level *levels = changed.levels
        cdef Py_ssize_t i
        if self.align(changed):
            for i in range(changed.bid_count):
                if levels[i].price >= self.lowest_known:
                    self.bid_side.set_level(levels[i].price, levels[i].size)
            for i in range(changed.bid_count, changed.bid_count + changed.ask_count):
                if levels[i].price <= self.highest_known:
                    self.ask_side.set_level(levels[i].price, levels[i].size)
        else:
            self.wide.update(changed.in_python())
        self.version += 1

    def equals(self, change):
        """Whether a snapshot holds just these levels."""
        cdef CompiledChange other = compiled(change)
        if self.wide is None and other.wide is None and self.align(other):
            return same(self.bid_side, other.levels, other.bid_count) and same(
                self.ask_side, other.levels + other.bid_count, other.ask_count
            )
        bids, asks = other.in_python()
        return self.bids.sizes == sizes_of(bids) and self.asks.sizes == sizes_of(asks)

    cdef bint align(self, CompiledChange change) except -1:
        """Bring the book and a change to the same decimals; False where the book is, or thereby becomes, a wide one."""
        cdef int price_decimals, size_decimals
        cdef CompiledSide side = self.bid_side
        if self.wide is not None:
            return False
        if change.wide is None:
            if side.price_decimals == change.price_decimals and side.size_decimals == change.size_decimals:
                return True
            price_decimals = max(side.price_decimals, change.price_decimals)
            size_decimals = max(side.size_decimals, change.size_decimals)
            if (
                side.fits(price_decimals, size_decimals)
                and self.ask_side.fits(price_decimals, size_decimals)
                and change.fits(price_decimals, size_decimals)
            ):
                side.rescale(price_decimals, size_decimals)
                self.ask_side.rescale(price_decimals, size_decimals)
                change.rescale(price_decimals, size_decimals)
                self.limit()
                return True
        self.widen()
        return False

    cdef int widen(self) except -1:
        """Hand everything over to a Python book."""
        wide = OrderBook()
        wide.replace(Change(list(self.bid_side.from_best()), list(self.ask_side.from_best())))
        wide.know(self.lowest_bid, self.highest_ask)
        self.wide = wide
        self.bid_side.fill(NULL, 0, 0, 0)
        self.ask_side.fill(NULL, 0, 0, 0)
        return 0

    cdef void limit(self):
        """The known range in the book's decimals: rounded inward, so that comparing is exact."""
        unit = UNITS[self.bid_side.price_decimals]
        self.lowest_known, self.highest_known = 0, INT64_MAX
        if self.lowest_bid is not None:
            self.lowest_known = max(0, min(INT64_MAX, -(-self.lowest_bid // unit)))
        if self.highest_ask is not None:
            self.highest_known = max(0, min(INT64_MAX, self.highest_ask // unit))


cdef bint same(CompiledSide side, Level *levels, Py_ssize_t count) except -1:
    """Whether a side holds just these levels, which have its decimals."""
    cdef CompiledSide other = CompiledSide(side.is_bids)
    other.fill(levels, count, side.price_decimals, side.size_decimals)
    return side.count == other.count and (
        not side.count
        or memcmp(side.prices, other.prices, side.count * sizeof(int64_t)) == 0
        and memcmp(side.sizes_, other.sizes_, side.count * sizeof(int64_t)) == 0
    )


cdef CompiledChange compiled(change):
    """A change as it was read, or one that was made of Python's integers."""
    return change if isinstance(change, CompiledChange) else narrowed(change)


cdef CompiledChange narrowed(change):
    """A Python book's change in 64 bits, with the fewest decimals; kept as it is where that cannot be."""
    cdef CompiledChange narrow = CompiledChange.__new__(CompiledChange)
    cdef Py_ssize_t i
    levels = [*change.bids, *change.asks]
    price_decimals = decimals_of([price for price, _ in levels])
    size_decimals = decimals_of([size for _, size in levels])
    if price_decimals < 0 or size_decimals < 0:
        narrow.wide = change
        return narrow
    narrow.price_decimals, narrow.size_decimals = price_decimals, size_decimals
    narrow.bid_count, narrow.ask_count = len(change.bids), len(change.asks)
    narrow.reserve(len(levels) + 1)
    price_unit, size_unit = UNITS[price_decimals], UNITS[size_decimals]
    for i, (price, size) in enumerate(levels):
        narrow.levels[i].price, narrow.levels[i].size = price // price_unit, size // size_unit
    return narrow


cdef CompiledChange loaded(bids, asks):
    """The sides of a snapshot; None where Python has to unpack them."""
    cdef CompiledChange change = CompiledChange.__new__(CompiledChange)
    cdef int price_decimals, size_decimals
    (bid_price_zeros, best_bid, bid_prices), (bid_size_zeros, bid_sizes) = bids
    (ask_price_zeros, best_ask, ask_prices), (ask_size_zeros, ask_sizes) = asks
    for packed in (bid_prices, bid_sizes, ask_prices, ask_sizes):
        if size_of(packed) == 0:
            return None
    counts = [(len(packed) - 1) // size_of(packed) for packed in (bid_prices, bid_sizes, ask_prices, ask_sizes)]
    if counts[0] != counts[1] or counts[2] != counts[3]:
        return None
    change.bid_count, change.ask_count = counts[0], counts[2]
    change.reserve(change.bid_count + change.ask_count + 1)
    price_decimals = load(
        &change.levels[0].price, True, bid_price_zeros, best_bid, bid_prices, ask_price_zeros, best_ask, ask_prices
    )
    size_decimals = load(&change.levels[0].size, False, bid_size_zeros, 0, bid_sizes, ask_size_zeros, 0, ask_sizes)
    if price_decimals < 0 or size_decimals < 0:
        return None
    change.price_decimals, change.size_decimals = price_decimals, size_decimals
    return change


cdef Py_ssize_t size_of(packed) except -1:
    """How many bytes a number of a column has; 0 where Python has to unpack it."""
    cdef Py_ssize_t size
    if not isinstance(packed, bytes) or not packed:
        return 0
    size = {98: 1, 104: 2, 105: 4, 113: 8}.get(packed[0], 0)  # b, h, i, q: packing.py
    return size if size and (len(packed) - 1) % size == 0 else 0


cdef int load(
    int64_t *numbers, bint in_steps, int bid_zeros, int64_t best_bid, bytes bids,
    int ask_zeros, int64_t best_ask, bytes asks,
) except -2:
    """A column of both sides to every second place from here on; returns its decimals, -1 where it does not fit."""
    cdef int zeros = min(bid_zeros, ask_zeros)
    if zeros < 0 or max(bid_zeros, ask_zeros) > NUMBER_DECIMALS:
        return -1
    if not load_side(numbers, in_steps, best_bid, bids, size_of(bids), bid_zeros - zeros):
        return -1
    numbers += 2 * ((PyBytes_GET_SIZE(bids) - 1) // size_of(bids))
    if not load_side(numbers, in_steps, best_ask, asks, size_of(asks), ask_zeros - zeros):
        return -1
    return NUMBER_DECIMALS - zeros


cdef bint load_side(
    int64_t *numbers, bint in_steps, int64_t best, bytes packed, Py_ssize_t size, int more_decimals
) except -1:
    """Numbers with so many more decimals; False where they are none of ours."""
    cdef const char *data = PyBytes_AS_STRING(packed) + 1
    cdef Py_ssize_t i, count = (PyBytes_GET_SIZE(packed) - 1) // size
    cdef int64_t before = best, number
    if not 0 <= best < NARROW_END:
        return False
    for i in range(count):
        number = number_at(data + i * size, size)
        if not -NARROW_END < number < NARROW_END:
            return False
        if in_steps:
            number += before
            before = number
        if not 0 <= number < NARROW_END:
            return False
        numbers[2 * i] = number
    if not all_fit(numbers, count, 2, more_decimals):
        return False
    multiply(numbers, count, 2, more_decimals)
    return True


cdef int64_t number_at(const char *data, Py_ssize_t size) noexcept nogil:
    """A number of so many bytes, the least first."""
    cdef int64_t number = <signed char> data[size - 1]
    cdef Py_ssize_t i
    for i in range(size - 2, -1, -1):
        number = number * 256 + <unsigned char> data[i]
    return number


cdef int decimals_of(list numbers) except -2:
    """The fewest decimals that hold integers of 10^-18 below 10^18; -1 where none do."""
    cdef int decimals = NUMBER_DECIMALS
    common = gcd(*numbers)
    while decimals and common % 10 == 0:
        common //= 10
        decimals -= 1
    most, least = max(numbers, default=0), min(numbers, default=0)
    return decimals if least >= 0 and most // UNITS[decimals] < NARROW_END else -1


cdef list packed_numbers(int64_t *numbers, Py_ssize_t count, int decimals, bint in_steps):
    """What `packing.packed_side` makes of a side's numbers, best ones first."""
    cdef int more = decimals  # powers of ten in all of them
    cdef Py_ssize_t i, size = 1
    cdef int64_t best = 0, before, number, least = 0, most = 0
    cdef int64_t *left = <int64_t *> malloc(count * sizeof(int64_t) + 1)
    cdef bytes packed
    cdef char *data
    cdef char letter = 98  # b
    if left == NULL:
        raise MemoryError
    try:
        for i in range(count):
            while more and numbers[i] % POWERS[more]:
                more -= 1
        if count:
            best = numbers[count - 1] // POWERS[more]
        before = best
        for i in range(count):
            number = numbers[count - 1 - i]
            if more:
                number //= POWERS[more]
            left[i] = number - before if in_steps else number
            before = number
            least, most = min(least, left[i]), max(most, left[i])
        if least < INT32_MIN or most > INT32_MAX:
            size, letter = 8, 113  # q
        elif least < INT16_MIN or most > INT16_MAX:
            size, letter = 4, 105  # i
        elif least < INT8_MIN or most > INT8_MAX:
            size, letter = 2, 104  # h
        packed = PyBytes_FromStringAndSize(NULL, count * size + 1)
        data = PyBytes_AS_STRING(packed)
        data[0] = letter
        for i in range(count):
            write_bytes(data + 1 + i * size, left[i], size)
    finally:
        free(left)
    zeros = NUMBER_DECIMALS - decimals + more
    return [zeros, best, packed] if in_steps else [zeros, packed]


cdef void write_bytes(char *data, int64_t number, Py_ssize_t size) noexcept nogil:
    """A number in so many bytes, the least first."""
    cdef Py_ssize_t i
    for i in range(size):
        data[i] = <char> (number & 255)
        number >>= 8
