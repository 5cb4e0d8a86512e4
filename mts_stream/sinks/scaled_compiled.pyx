# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""`scaled` of scaled.py for the common numbers: plain decimals of at most 18 digits with room in their column.

Whatever is not of that shape, and whatever has more decimals than its column, scaled.py's Python judges.
"""

from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t

from mts_stream.sinks.scaled import DIGITS_MAX, scaled_in_python

cdef int PLACES_MAX = 18
cdef int64_t POWERS[19]
cdef int WHOLE_MAX[19]  # digits before the point, by places
cdef int _place
for _place in range(19):
    POWERS[_place] = 1 if _place == 0 else POWERS[_place - 1] * 10
    WHOLE_MAX[_place] = DIGITS_MAX.get(_place, 0) - _place


def scaled(str text not None, int places):
    """The number times ten to the places, an integer. Characters by their ASCII: 45 minus, 46 point, 48 to 57 digits."""
    cdef Py_ssize_t size
    cdef const char *at = PyUnicode_AsUTF8AndSize(text, &size)
    cdef const char *end = at + size
    cdef bint negative = size > 0 and at[0] == 45
    cdef int whole = 0, part = 0
    cdef int64_t number = 0
    if negative:
        at += 1
    cdef const char *begin = at
    if not 0 <= places <= PLACES_MAX or end - at > 19:  # 18 digits and a point
        return scaled_in_python(text, places)
    while at < end and 48 <= at[0] <= 57:
        number = number * 10 + (at[0] - 48)
        whole += 1
        at += 1
    if whole == 0 or (whole > 1 and begin[0] == 48) or whole > WHOLE_MAX[places]:
        return scaled_in_python(text, places)
    if at < end and at[0] == 46:
        at += 1
        while at < end and 48 <= at[0] <= 57:
            number = number * 10 + (at[0] - 48)
            part += 1
            at += 1
        if part == 0 or (end - 1)[0] == 48:
            return scaled_in_python(text, places)
    if at != end or part > places or whole + part > 18 or (negative and number == 0):
        return scaled_in_python(text, places)
    if negative:
        number = -number
    if whole + places <= 18:
        return number * POWERS[places - part]
    return number * <object> POWERS[places - part]
