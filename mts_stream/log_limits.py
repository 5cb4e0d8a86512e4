"""What keeps the log readable while something is away: repeated lines are counted instead of written.

handler.addFilter(RepeatFilter())          # the libraries' lines: aiokafka says one thing a hundred times a second
limited = Limited(every_s=1.0)             # one line of ours
suppressed = limited.due()                 # None: not now
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

REPEAT_S = 10.0
TEXTS_MAX = 256  # the texts remembered; the one not heard of for longest is forgotten first
AT_ONCE = {"aiokafka": 1, "kafka": 1}
AT_ONCE_OTHERS = 10  # Faust says the same of several topics, and of every rebalance

Clock = Callable[[], float]


class Limited:
    """At most `at_once` lines in `every_s`; says how many were left out before the one that is due."""

    def __init__(self, *, every_s: float, at_once: int = 1, clock: Clock = time.monotonic) -> None:
        self._every_s = every_s
        self._at_once = at_once
        self._clock = clock
        self._since: float | None = None
        self._written = 0
        self._suppressed = 0

    def due(self) -> int | None:
        """The number of lines suppressed since the last one, or None where this one is suppressed too."""
        now = self._clock()
        if self._since is None or now - self._since >= self._every_s:
            self._since, self._written = now, 0
        if self._written >= self._at_once:
            self._suppressed += 1
            return None
        self._written += 1
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed


class RepeatFilter(logging.Filter):
    """Lets each text of a library through a few times in ten seconds, and nothing of an error that we have told."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._texts: OrderedDict[tuple[str, str], Limited] = OrderedDict()
        self._lock = threading.Lock()  # aiokafka's consumer has a thread of its own

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written; one that follows suppressed ones carries their number."""
        if not isinstance(record.msg, str):  # ours, from structlog; Faust also logs under the names of our modules
            return True
        if _is_told(record):
            return False
        with self._lock:
            suppressed = self._limit((record.name, record.msg)).due()
        if suppressed:
            record.suppressed = suppressed
        return suppressed is not None

    def _limit(self, text: tuple[str, str]) -> Limited:
        limit = self._texts.get(text)
        if limit is None:
            at_once = AT_ONCE.get(text[0].split(".", 1)[0], AT_ONCE_OTHERS)
            limit = Limited(every_s=REPEAT_S, at_once=at_once, clock=self._clock)
            self._texts[text] = limit
            if len(self._texts) > TEXTS_MAX:
                self._texts.popitem(last=False)
        self._texts.move_to_end(text)
        return limit


def _is_told(record: logging.LogRecord) -> bool:
    """Whether it is about an error whose one line stands in the log already."""
    about: list[Any] = list(record.args) if isinstance(record.args, tuple) else []
    if record.exc_info:
        about.append(record.exc_info[1])
    return any(getattr(error, "told", False) for error in about if isinstance(error, BaseException))
