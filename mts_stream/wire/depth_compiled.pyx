# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""The depth frames of a raw log, straight from a record's bytes: the common shape, and nothing but it.

`depth_update` reads an envelope as `EnvelopeHead` writes it around a frame of Binance or Bybit. Whatever is not exactly
of that shape (another kind, a blank, an escape, a key twice, a number beyond 63 bits) is None, and codec.py's Python
reads it, or says what is wrong: it is the reference, and what is read here is what it would read.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp

from mts_stream.domain.market_data import DepthUpdate, Origin

DEF INT_DIGITS_MAX = 19
cdef int HEADS_MAX = 8192  # books that a process has seen; then all are forgotten
cdef int64_t MILLIS_MAX = 9_000_000_000_000  # exchanges/venue.py
cdef int64_t NS_PER_MS = 1_000_000
cdef uint64_t INT64_MAX = <uint64_t> 0x7FFFFFFFFFFFFFFF

ctypedef const unsigned char *Bytes

cdef dict _heads = {}


cdef struct Scan:
    # where reading stands; `p` is NULL as soon as something is not of the shape
    Bytes p
    Bytes end


cdef struct Slice:
    Bytes begin
    Py_ssize_t size


cdef struct Frame:
    Slice bids
    Slice asks
    Slice type
    int64_t millis
    int64_t first_id
    int64_t last_id
    int64_t previous_id
    int seen


cdef enum:
    BIDS = 1
    ASKS = 2
    MILLIS = 4
    FIRST = 8
    LAST = 16
    PREVIOUS = 32
    TYPE = 64
    DATA = 128
    BINANCE = BIDS | ASKS | MILLIS | FIRST | LAST
    BYBIT = BIDS | ASKS | MILLIS | LAST | TYPE | DATA


cdef inline bint took(Scan *at, const char *text, Py_ssize_t size) noexcept:
    """Whether just this comes next, which is then behind us."""
    if at.p == NULL or at.end - at.p < size or memcmp(at.p, text, size) != 0:
        at.p = NULL
        return False
    at.p += size
    return True


cdef inline int64_t whole(Scan *at) noexcept:
    """A number without sign or superfluous zeros, of 63 bits."""
    cdef uint64_t value = 0
    cdef Bytes begin = at.p
    if begin == NULL:
        return 0
    while at.p < at.end and 48 <= at.p[0] <= 57 and at.p - begin < INT_DIGITS_MAX:
        value = value * 10 + (at.p[0] - 48)
        at.p += 1
    cdef Py_ssize_t digits = at.p - begin
    if digits == 0 or value > INT64_MAX or (begin[0] == 48 and digits > 1):
        at.p = NULL
    elif at.p < at.end and (48 <= at.p[0] <= 57 or at.p[0] == 46 or at.p[0] | 32 == 101):
        at.p = NULL
    return <int64_t> value


cdef inline Slice quoted(Scan *at) noexcept:
    """What stands between two quotation marks: ASCII without escapes."""
    cdef Slice text
    text.begin, text.size = NULL, 0
    if not took(at, b'"', 1):
        return text
    text.begin = at.p
    while at.p < at.end and 32 <= at.p[0] < 127 and at.p[0] != 34 and at.p[0] != 92:
        at.p += 1
    text.size = at.p - text.begin
    took(at, b'"', 1)
    return text


cdef inline Slice levels(Scan *at) noexcept:
    """An array of pairs of strings of digits and points."""
    cdef Slice found
    cdef Bytes p = at.p
    cdef Bytes end = at.end
    cdef int part
    found.begin, found.size = p, 0
    if p == NULL or end - p < 2 or p[0] != 91:
        at.p = NULL
        return found
    p += 1
    if p[0] == 93:
        at.p = p + 1
        found.size = 2
        return found
    while True:
        if end - p < 8 or p[0] != 91:
            at.p = NULL
            return found
        p += 1
        for part in range(2):
            if end - p < 5 or p[0] != 34:
                at.p = NULL
                return found
            p += 1
            while p < end and (48 <= p[0] <= 57 or p[0] == 46):
                p += 1
            if end - p < 3 or p[0] != 34 or p[1] != (44 if part == 0 else 93):
                at.p = NULL
                return found
            p += 2
        if p[0] == 93:
            break
        if p[0] != 44:
            at.p = NULL
            return found
        p += 1
    at.p = p + 1
    found.size = at.p - found.begin
    return found


cdef inline void skip(Scan *at) noexcept:
    """A value that nobody needs: a string or a whole number."""
    if at.p != NULL and at.p < at.end and at.p[0] == 34:
        quoted(at)
    else:
        whole(at)


cdef inline Slice key_of(Scan *at) noexcept:
    """The next key of an object; of no length where none comes."""
    cdef Slice key = quoted(at)
    if not took(at, b":", 1):
        key.size = 0
    return key


cdef inline bint goes_on(Scan *at) noexcept:
    """Whether another key follows in an object, which has ended otherwise."""
    if at.p != NULL and at.p < at.end and at.p[0] == 44:
        at.p += 1
        return True
    took(at, b"}", 1)
    return False


cdef inline bint note(Scan *at, Frame *frame, int what) noexcept:
    """Whether a key comes for the first time."""
    if frame.seen & what:
        at.p = NULL
        return False
    frame.seen |= what
    return True


cdef inline bint is_text(Slice text, const char *other, Py_ssize_t size) noexcept:
    return text.size == size and memcmp(text.begin, other, size) == 0


cdef void binance(Scan *at, Frame *frame) noexcept:
    cdef Slice key
    took(at, b"{", 1)
    while at.p != NULL:
        key = key_of(at)
        if key.size == 1 and key.begin[0] == 98 and note(at, frame, BIDS):
            frame.bids = levels(at)
        elif key.size == 1 and key.begin[0] == 97 and note(at, frame, ASKS):
            frame.asks = levels(at)
        elif key.size == 1 and key.begin[0] == 69 and note(at, frame, MILLIS):
            frame.millis = whole(at)
        elif key.size == 1 and key.begin[0] == 85 and note(at, frame, FIRST):
            frame.first_id = whole(at)
        elif key.size == 1 and key.begin[0] == 117 and note(at, frame, LAST):
            frame.last_id = whole(at)
        elif is_text(key, b"pu", 2) and note(at, frame, PREVIOUS):
            frame.previous_id = whole(at)
        else:
            skip(at)
        if not goes_on(at):
            return


cdef void bybit(Scan *at, Frame *frame, bint is_data) noexcept:
    cdef Slice key
    took(at, b"{", 1)
    while at.p != NULL:
        key = key_of(at)
        if is_data and is_text(key, b"b", 1) and note(at, frame, BIDS):
            frame.bids = levels(at)
        elif is_data and is_text(key, b"a", 1) and note(at, frame, ASKS):
            frame.asks = levels(at)
        elif is_data and is_text(key, b"u", 1) and note(at, frame, LAST):
            frame.last_id = whole(at)
        elif not is_data and is_text(key, b"ts", 2) and note(at, frame, MILLIS):
            frame.millis = whole(at)
        elif not is_data and is_text(key, b"type", 4) and note(at, frame, TYPE):
            frame.type = quoted(at)
        elif not is_data and is_text(key, b"data", 4) and note(at, frame, DATA):
            bybit(at, frame, True)
        else:
            skip(at)
        if not goes_on(at):
            return


cdef inline object text_of(Slice text):
    return PyUnicode_DecodeASCII(<const char *> text.begin, text.size, NULL)


cdef inline bytes bytes_of(Slice text):
    return PyBytes_FromStringAndSize(<const char *> text.begin, text.size)


cdef tuple head_of(Bytes begin, Py_ssize_t size):
    """Venue, market, symbol and pair of a depth frame's head, or None."""
    cdef Scan at
    cdef Slice parts[4]
    cdef const char **names = [b'{"v":1,"venue":', b',"market":', b',"symbol":', b',"pair":']
    cdef int index
    at.p, at.end = begin, begin + size
    for index in range(4):
        if index == 2:
            took(&at, b',"channel":"depth","kind":"frame"', 33)
        took(&at, names[index], len(names[index]))
        parts[index] = quoted(&at)
    if at.p == NULL or at.p != at.end:
        return None
    venue, market = text_of(parts[0]), text_of(parts[1])
    if venue not in ("binance", "bybit") or market not in ("spot", "perp"):
        return None
    return venue, market, text_of(parts[2]), text_of(parts[3]), venue == "binance", market == "perp"


cdef Py_ssize_t head_size(Bytes begin, Py_ssize_t size) noexcept:
    """Up to the `,"received_ns":` that follows it; no string holds a bare quotation mark, so it is the key."""
    cdef Py_ssize_t at, last = size - 15
    for at in range(60 if size > 60 else 0, last if last < 400 else 400):
        if begin[at] == 44 and memcmp(begin + at, b',"received_ns":', 15) == 0:
            return at
    return -1


cpdef object depth_update(bytes value):
    """The depth update in a record's value, or None where it is not of the common shape."""
    cdef Scan at
    cdef Frame frame
    cdef Slice conn
    cdef Bytes begin = <Bytes> PyBytes_AS_STRING(value)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(value)
    cdef int64_t received_ns, gen, seq
    cdef Py_ssize_t head_bytes = head_size(begin, size)
    if head_bytes < 0:
        return None
    head = PyBytes_FromStringAndSize(<const char *> begin, head_bytes)
    known = _heads.get(head)
    if known is None:
        known = head_of(begin, head_bytes)
        if known is None:
            return None
        if len(_heads) >= HEADS_MAX:
            _heads.clear()
        _heads[head] = known
    at.p, at.end = begin + head_bytes + 15, begin + size
    received_ns = whole(&at)
    took(&at, b',"conn":', 8)
    conn = quoted(&at)
    took(&at, b',"gen":', 7)
    gen = whole(&at)
    took(&at, b',"seq":', 7)
    seq = whole(&at)
    took(&at, b',"frame":', 9)
    frame.seen = 0
    cdef tuple names = <tuple> known
    cdef bint is_binance = names[4], is_perp = names[5], replaces = False
    cdef int needed = BINANCE if is_binance else BYBIT
    if is_binance:
        binance(&at, &frame)
    else:
        bybit(&at, &frame, False)
    if not took(&at, b"}", 1) or at.p != at.end:
        return None
    if frame.seen & needed != needed or frame.millis > MILLIS_MAX:
        return None
    if is_binance:
        if is_perp and not frame.seen & PREVIOUS:
            return None
    else:
        replaces = is_text(frame.type, b"snapshot", 8)
        if not replaces and not is_text(frame.type, b"delta", 5):
            return None
    origin = Origin(names[0], names[1], names[2], names[3], text_of(conn), gen, seq, received_ns)
    return DepthUpdate(
        origin, replaces, False, frame.last_id, bytes_of(frame.bids), bytes_of(frame.asks),
        frame.first_id if is_binance else None, frame.previous_id if is_binance and is_perp else None,
        frame.millis * NS_PER_MS,
    )
