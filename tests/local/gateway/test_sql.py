"""What the gateway reads from a statement before the engine sees it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_stream.local.gateway.sql import (
    Calls,
    changes_session,
    identifier,
    is_read,
    is_several,
    keyword,
    literal,
    names_files,
    output_format,
    split_insert,
    tokens,
)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (b"SELECT 1", b"SELECT"),
        (b"  -- a comment; DROP\n /* another */ # one more\n select 1", b"SELECT"),
        (b"((SELECT 1))", b"SELECT"),
        (b"'SELECT'", b""),
        (b"`SELECT` 1", b""),
        (b"", b""),
    ],
)
def test_the_first_word_is_found_behind_comments_and_brackets(sql: bytes, expected: bytes) -> None:
    """The kind of a statement is its first bare word, whatever spaces, comments and brackets precede it."""
    assert keyword(sql) == expected


@pytest.mark.parametrize(
    "sql", [b"SELECT 1", b"WITH 1 AS x SELECT x", b"SHOW TABLES", b"DESCRIBE t", b"EXPLAIN SELECT 1"]
)
def test_statements_that_read_are_known(sql: bytes) -> None:
    """A statement reads when its first word is one of the reading ones."""
    assert is_read(sql)


@pytest.mark.parametrize(
    "sql", [b"INSERT INTO t SELECT 1", b"DROP TABLE t", b"SET x = 1", b"SYSTEM SHUTDOWN", b"KILL QUERY"]
)
def test_any_other_statement_does_not_count_as_reading(sql: bytes) -> None:
    """The list of reading statements is closed: what is not on it is taken to write."""
    assert not is_read(sql)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (b"SELECT 1", False),
        (b"SELECT 1;", False),
        (b"SELECT 1; -- done\n ;", False),
        (b"SELECT ';'", False),
        (b"SELECT 1; DROP TABLE t", True),
        (b"SELECT '\\'; DROP TABLE t' , 1", False),
    ],
)
def test_a_second_statement_is_seen(sql: bytes, expected: bool) -> None:
    """Something behind a semicolon is a second statement, unless it is in a string or a comment."""
    assert is_several(sql) is expected


@pytest.mark.parametrize(
    "sql",
    [
        b"SELECT 1 INTO OUTFILE '/tmp/x'",
        b"select 1 into\n/* x */ outfile '/tmp/x'",
        b"SELECT 1 INTO -- x\n OUTFILE 'x'",
        b"INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV",
    ],
)
def test_clauses_that_name_files_are_seen(sql: bytes) -> None:
    """INTO OUTFILE and FROM INFILE are found whatever stands between their words."""
    assert names_files(sql)


@pytest.mark.parametrize("sql", [b"SELECT outfile FROM t", b"INSERT INTO outfiles VALUES (1)"])
def test_names_alike_are_not_files(sql: bytes) -> None:
    """A column or table of such a name is no clause."""
    assert not names_files(sql)


@pytest.mark.parametrize(
    "sql", [b"SELECT file('/x')", b"SELECT FILE ( '/x')", b"SELECT `file`('/x')", b"SELECT file/**/('/x')"]
)
def test_calls_are_found_however_they_are_written(sql: bytes) -> None:
    """Case, quotes, spaces and comments do not hide a call."""
    assert Calls(frozenset({"file"})).first(sql) is not None


@pytest.mark.parametrize("sql", [b"SELECT file FROM t", b"SELECT profile(1)", b"SELECT files(1)", b"SELECT a.file (1)"])
def test_what_is_not_the_call_is_let_pass(sql: bytes) -> None:
    """Only the function of exactly that name counts."""
    assert Calls(frozenset({"file"})).first(sql) is None


@pytest.mark.parametrize(
    ("sql", "head", "settings", "name", "data"),
    [
        (b"INSERT INTO t FORMAT CSV\n1,2\n", b"INSERT INTO t", b"", b"CSV", b"1,2\n"),
        (b"INSERT INTO t (a, b) FORMAT Native\r\n\x00\xff", b"INSERT INTO t (a, b)", b"", b"Native", b"\x00\xff"),
        (b'insert into t format JSONEachRow {"a":1}', b"insert into t", b"", b"JSONEachRow", b'{"a":1}'),
        (b"INSERT INTO t SETTINGS x=1, y='z' FORMAT TSV\n\t", b"INSERT INTO t", b"x=1, y='z'", b"TSV", b"\t"),
        (b"INSERT INTO `FORMAT` FORMAT CSV", b"INSERT INTO `FORMAT`", b"", b"CSV", b""),
    ],
)
def test_an_insert_comes_apart_into_head_settings_format_and_data(
    sql: bytes, head: bytes, settings: bytes, name: bytes, data: bytes
) -> None:
    """The data of an insert begins behind the name of its format and one line end."""
    insert = split_insert(sql)

    assert insert is not None
    assert (insert.head, insert.settings, insert.format, insert.data) == (head, settings, name, data)


@pytest.mark.parametrize(
    "sql",
    [
        b"SELECT 1 FORMAT CSV",
        b"INSERT INTO t VALUES (1)",
        b"INSERT INTO t FORMAT Values (1)",
        b"INSERT INTO t SELECT 1 FORMAT CSV",
        b"INSERT INTO t",
    ],
)
def test_other_statements_go_to_the_engine_as_text(sql: bytes) -> None:
    """Only an insert with a FORMAT of its own has data to be kept apart."""
    assert split_insert(sql) is None


@given(st.binary(max_size=200))
def test_the_data_of_an_insert_is_handed_on_byte_by_byte(data: bytes) -> None:
    """Whatever the data holds, quotes and semicolons included, nothing of it is lost or read as SQL."""
    insert = split_insert(b"INSERT INTO t FORMAT RowBinary\n" + data)

    assert insert is not None
    assert insert.data == data


@given(st.binary(max_size=200))
def test_every_byte_of_a_statement_is_in_one_token_or_skipped(sql: bytes) -> None:
    """The scanner goes over any bytes without loss: its tokens are in order and do not overlap."""
    found = list(tokens(sql))

    assert all(sql[token.start : token.end] == token.text for token in found)
    assert all(before.end <= after.start for before, after in pairwise(found))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (b"SELECT 1 FORMAT JSON", "JSON"),
        (b"SELECT 1 FORMAT JSON ;", "JSON"),
        (b"SELECT 1 FORMAT JSON SETTINGS max_threads = 1", "JSON"),
        (b"SELECT 'FORMAT CSV'", None),
        (b"SELECT 1", None),
    ],
)
def test_the_output_format_is_that_of_the_last_clause(sql: bytes, expected: str | None) -> None:
    """A FORMAT clause at the end names the format of the answer."""
    assert output_format(sql) == expected


@pytest.mark.parametrize(
    "sql",
    [b"SET max_threads = 1", b"USE x", b"CREATE TEMPORARY TABLE t (a Int8)", b"CREATE OR REPLACE TEMPORARY TABLE t"],
)
def test_statements_that_mark_their_connection_are_known(sql: bytes) -> None:
    """After these a connection is not used again, so that nothing reaches another client's query."""
    assert changes_session(sql)


def test_an_ordinary_table_does_not_mark_its_connection() -> None:
    """CREATE TABLE leaves nothing on the connection."""
    assert not changes_session(b"CREATE TABLE temporary (a Int8)")


def test_literals_and_identifiers_are_escaped() -> None:
    """Quotes and backslashes in a value or a name cannot end it."""
    assert literal("a'b\\c") == "'a\\'b\\\\c'"
    assert identifier("a`b\\c") == "`a\\`b\\\\c`"
