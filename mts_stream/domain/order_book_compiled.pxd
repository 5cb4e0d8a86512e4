# The compiled book as other compiled modules see it: sorted arrays of 64-bit numbers.
#
# A price is prices[i] / 10^price_decimals, a size sizes[i] / 10^size_decimals; both are above 0 and below
# 10^18 (NARROW_DIGITS). The best level of a side is the last, index count - 1: bids ascend, asks descend.
# Both sides of a book have the same decimals, which change as more of them are seen: read them at every use.
# Where CompiledBook.wide is not None the arrays are empty, and that Python book holds the levels.

from libc.stdint cimport int64_t


ctypedef struct Level:
    int64_t price
    int64_t size


cdef class CompiledSide:
    cdef int64_t *prices
    cdef int64_t *sizes_
    cdef Py_ssize_t count
    cdef Py_ssize_t capacity
    cdef bint is_bids
    cdef int price_decimals
    cdef int size_decimals

    cdef int reserve(self, Py_ssize_t count) except -1
    cdef int fill(self, Level *levels, Py_ssize_t count, int price_decimals, int size_decimals) except -1
    cdef int fill_sorted(self, Level *levels, Py_ssize_t count) except -1
    cdef int set_level(self, int64_t price, int64_t size) except -1
    cdef bint fits(self, int price_decimals, int size_decimals) noexcept
    cdef void rescale(self, int price_decimals, int size_decimals) noexcept
    cdef object best_price(self)


cdef class CompiledChange:
    # bids, then asks, in the order in which they came; `wide` instead where a number is beyond 64 bits
    cdef Level *levels
    cdef Py_ssize_t bid_count
    cdef Py_ssize_t ask_count
    cdef int price_decimals
    cdef int size_decimals
    cdef object wide

    cdef int reserve(self, Py_ssize_t count) except -1
    cdef bint fits(self, int price_decimals, int size_decimals) noexcept
    cdef void rescale(self, int price_decimals, int size_decimals) noexcept
    cdef object in_python(self)


cdef class CompiledBook:
    cdef CompiledSide bid_side
    cdef CompiledSide ask_side
    cdef readonly object wide
    cdef readonly object lowest_bid
    cdef readonly object highest_ask
    cdef readonly int64_t version
    cdef int64_t lowest_known
    cdef int64_t highest_known

    # For a caller that holds the bytes: both arrays lie in one bytes object, so that a NUL ends it
    cdef CompiledChange read_at(
        self, const unsigned char *bids, Py_ssize_t bid_bytes, const unsigned char *asks, Py_ssize_t ask_bytes
    )
    cdef bint align(self, CompiledChange change) except -1
    cdef int widen(self) except -1
    cdef void limit(self)
