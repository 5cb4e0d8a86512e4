"""Sessions: what a client leaves behind, it finds again, and nobody else does."""

import secrets
import threading
from typing import Any

import pytest

from mts_stream.local.gateway.errors import QueryError
from mts_stream.local.gateway.sessions import SESSIONS_MAX, STATEFUL_MAX, TIMEOUT_MAX_S, Sessions, Wanted
from tests.local.gateway.test_http import Answer, send

LONG = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"


class Asker:
    """One client in a session of its own."""

    def __init__(self, url: str) -> None:
        self._url, self.id = url, secrets.token_hex(4)

    def __call__(self, sql: str, **arguments: str) -> Answer:
        """POST a statement in the session."""
        return send(self._url, sql.encode(), session_id=self.id, **arguments)

    def get(self, sql: str) -> Answer:
        """GET in the session."""
        return send(self._url, query=sql, session_id=self.id)


@pytest.fixture
def ask(clickhouse: str) -> Asker:
    """A session that nobody has used."""
    return Asker(clickhouse)


def code(answer: Answer) -> str | None:
    """ClickHouse's number for a failure."""
    return answer.headers["X-ClickHouse-Exception-Code"]


def test_settings_database_and_temporary_tables_stay_in_a_session(ask: Asker, clickhouse: str) -> None:
    """SET, USE and CREATE TEMPORARY TABLE are there at the session's next request, in no other one's."""
    ask("SET max_block_size = 77")
    ask("USE system")
    ask("CREATE TEMPORARY TABLE mine (a Int8)")
    assert ask("INSERT INTO mine FORMAT CSV\n1\n2\n").status == 200
    seen = "SELECT getSetting('max_block_size'), currentDatabase()"

    assert ask(f"{seen}, (SELECT sum(a) FROM mine)").text == "77\tsystem\t3"
    for other in (Asker(clickhouse), lambda sql: send(clickhouse, sql.encode())):
        assert other(seen).text != "77\tsystem"
        assert code(other("SELECT * FROM mine")) == "60"
    assert code(ask("SELECT * FROM mine", user="mts_writer")) == "60"


def test_what_a_request_brings_along_goes_with_it(ask: Asker) -> None:
    """Settings and database by the address are one request's, and give way to the session's own afterwards."""
    ask("SET max_block_size = 77")
    seen = "SELECT getSetting('max_block_size'), getSetting('max_threads') = 3, currentDatabase()"

    assert ask(seen, max_block_size="99", max_threads="3", database="system").text == "99\t1\tsystem"
    assert ask(seen).text == "77\t0\tdefault"


def test_a_failed_query_leaves_no_rows_and_takes_no_table(ask: Asker) -> None:
    """What a query had produced before it failed is in no later answer; what the session had stays."""
    ask("CREATE TEMPORARY TABLE mine (a Int8)")
    for _ in range(3):
        assert code(ask("SELECT throwIf(number = 90000), number FROM numbers(100001)", max_block_size="1000")) == "395"
        assert code(ask("SELECT 1", max_threads="many")) is not None
        assert ask("SELECT 9, 3, (SELECT count() FROM mine)").text == "9\t3\t0"


def test_a_session_that_must_exist(ask: Asker) -> None:
    """session_check=1 refuses a session that nobody began, and one that was closed."""
    assert code(ask("SELECT 1", session_check="1")) == "372"
    assert ask("SELECT 1").text == "1"
    assert ask("SELECT 1", session_check="1").text == "1"
    assert ask("SELECT 1", close_session="1").text == "1"
    assert code(ask("SELECT 1", session_check="1")) == "372"


@pytest.mark.parametrize(
    ("timeout", "refusal"), [("0", None), ("3600", None), ("3601", "374"), ("-1", "374"), ("x", "374")]
)
def test_timeouts_are_checked(ask: Asker, timeout: str, refusal: str | None) -> None:
    """A timeout is a number of seconds up to an hour."""
    assert code(ask("SELECT 1", session_timeout=timeout)) == refusal


def test_a_session_takes_one_query_at_a_time(ask: Asker) -> None:
    """A second one is refused while the first runs, and served afterwards."""
    first = threading.Thread(target=ask, args=(LONG,), kwargs={"max_execution_time": "1"})
    first.start()
    refusals = []
    while first.is_alive():
        answer = ask("SELECT 1", session_check="1")
        refusals += [code(answer)] if answer.status != 200 else []
    assert "373" in refusals
    assert set(refusals) <= {"372", "373"}
    assert ask("SELECT 1").text == "1"


def test_get_does_not_write_in_a_session_either(ask: Asker) -> None:
    """Also where the session has a connection that could."""
    ask("CREATE TEMPORARY TABLE mine (a Int8)")
    for sql in ("INSERT INTO mine VALUES (1)", "WITH 1 AS x INSERT INTO mine SELECT x", "SET max_threads = 1"):
        assert code(ask.get(sql)) == "164"
    assert ask.get("SELECT count() FROM mine").text == "0"


class Own:
    """A connection that can be closed."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        """Remember it."""
        self.closed = True


class Clock:
    """A clock that the test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now_s


def test_a_session_ends_when_nobody_asks_in_it() -> None:
    """Its timeout counts from its last query, and its connection is closed with it."""
    clock, own = Clock(), Own()
    sessions = Sessions(clock)
    with sessions.held("u", Wanted("a", 10)) as session:
        session.own = own  # type: ignore[assignment]
        clock.now_s = 5
    clock.now_s = 14.9
    with sessions.held("u", Wanted("a", 10, must_exist=True)):
        pass
    clock.now_s = 25
    with pytest.raises(QueryError), sessions.held("u", Wanted("a", must_exist=True)):
        pass

    assert own.closed
    assert len(sessions) == 0


def test_a_session_whose_connection_is_lost_ends() -> None:
    """The next request is told, or begins anew; never does it find half of what was there."""
    sessions = Sessions(Clock())
    with sessions.held("u", Wanted("a")) as session:
        session.lost = True
    with pytest.raises(QueryError), sessions.held("u", Wanted("a", must_exist=True)):
        pass


def test_sessions_are_bounded() -> None:
    """So many sessions, and fewer with a connection of their own; one that has one keeps it."""
    sessions = Sessions(Clock())
    first: Any = None
    for number in range(SESSIONS_MAX):
        with sessions.held("u", Wanted(str(number), TIMEOUT_MAX_S)) as session:
            if number < STATEFUL_MAX:
                sessions.check_room(session)
                session.own = Own()  # type: ignore[assignment]
                first = first or session
            elif number == STATEFUL_MAX:
                with pytest.raises(QueryError, match="close_session=1"):
                    sessions.check_room(session)
    sessions.check_room(first)
    with pytest.raises(QueryError) as refusal, sessions.held("u", Wanted("one more")):
        pass

    assert (refusal.value.code, refusal.value.status) == (202, 503)
    sessions.close()
    assert first.own is None
