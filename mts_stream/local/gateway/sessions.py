"""HTTP sessions, as ClickHouse has them: what `SET`, `USE` and temporary tables leave behind for one client.

A session costs nothing until a statement leaves something behind; from then on it has a connection of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mts_stream.local.gateway.errors import (
    SESSION_IS_LOCKED,
    SESSION_NOT_FOUND,
    TOO_MANY_SIMULTANEOUS_QUERIES,
    QueryError,
    refused,
)
from mts_stream.local.gateway.own_connection import OwnConnection

SESSIONS_MAX = 1000
STATEFUL_MAX = 16  # each holds a connection of the engine
TIMEOUT_DEFAULT_S, TIMEOUT_MAX_S = 60, 3600  # the server's own


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request says of its session."""

    id: str
    timeout_s: int = TIMEOUT_DEFAULT_S
    must_exist: bool = False
    is_last: bool = False


@dataclass(slots=True)
class Session:
    """One client's session; `own` is its connection, once something was left behind."""

    timeout_s: int
    expires_s: float
    busy: bool = False
    own: OwnConnection | None = None
    lost: bool = False  # its connection could not be kept, so what was left behind is gone

    def close(self) -> None:
        """Give up its connection."""
        if self.own is not None:
            self.own.close()
            self.own = None


class Sessions:
    """The sessions of all users; a session takes one query at a time, and ends when nobody asks in it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sessions: dict[tuple[str, str], Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    @contextmanager
    def held(self, user: str, wanted: Wanted) -> Iterator[Session]:
        """A user's session, made where it is new, for one query; `QueryError` as a server says it."""
        self._end_expired()
        key = (user, wanted.id)
        session = self._found(key, wanted)
        session.busy, session.timeout_s = True, wanted.timeout_s
        try:
            yield session
        finally:
            session.busy, session.expires_s = False, self._clock() + session.timeout_s
            if session.lost or wanted.is_last:
                self._end(key)

    def check_room(self, session: Session) -> None:
        """`QueryError` where so many sessions have a connection of their own that this one can have none."""
        stateful = sum(each.own is not None for each in self._sessions.values())
        if session.own is None and stateful >= STATEFUL_MAX:
            raise _too_many(f"{stateful} sessions with settings or tables of their own")

    def close(self) -> None:
        """End all; to be called when nothing runs."""
        for key in list(self._sessions):
            self._end(key)

    def _found(self, key: tuple[str, str], wanted: Wanted) -> Session:
        session = self._sessions.get(key)
        if session is None:
            if wanted.must_exist:
                raise refused(SESSION_NOT_FOUND, f"Session {wanted.id} not found", "SESSION_NOT_FOUND")
            if len(self._sessions) >= SESSIONS_MAX:
                raise _too_many(f"{SESSIONS_MAX} sessions")
            session = self._sessions[key] = Session(wanted.timeout_s, self._clock() + wanted.timeout_s)
        elif session.busy:
            text = f"Session {wanted.id} is locked by a concurrent client"
            raise refused(SESSION_IS_LOCKED, text, "SESSION_IS_LOCKED")
        return session

    def _end_expired(self) -> None:
        now_s = self._clock()
        for key, session in list(self._sessions.items()):
            if not session.busy and session.expires_s <= now_s:
                self._end(key)

    def _end(self, key: tuple[str, str]) -> None:
        self._sessions.pop(key).close()


def _too_many(what: str) -> QueryError:
    code, name = TOO_MANY_SIMULTANEOUS_QUERIES, "TOO_MANY_SIMULTANEOUS_QUERIES"
    return refused(code, f"Too many: {what}; close_session=1 ends one", name)
