"""Who may do what at the gateway."""

import pytest

from mts_stream.local.gateway.errors import QueryError
from mts_stream.local.gateway.policy import Policy, find_user

POLICY = Policy(
    frozenset(
        {"max_threads", "max_execution_time", "max_result_rows", "output_format_json_quote_64bit_integers", "readonly"}
    ),
    frozenset({"numbers", "s3", "url", "view"}),
)
WRITER, READER = find_user("default"), find_user("mts_reader")


def test_an_empty_name_is_the_writer() -> None:
    """Whoever gives no name is `default`, as at a server."""
    assert find_user("") is WRITER


def test_an_unknown_user_is_refused() -> None:
    """Nobody else is known; the refusal is ClickHouse's 516 with HTTP 403."""
    with pytest.raises(QueryError) as refusal:
        find_user("mallory")

    assert (refusal.value.code, refusal.value.status) == (516, 403)


@pytest.mark.parametrize(
    "sql",
    [
        b"DROP TABLE t",
        b"SET readonly = 0",
        b"SYSTEM SHUTDOWN",
        b"KILL QUERY WHERE 1",
        b"SELECT * FROM s3('http://x')",
        b"SELECT file('/etc/passwd')",
        b"SELECT * FROM `url` ('http://x')",
    ],
)
def test_a_reader_only_reads_tables(sql: bytes) -> None:
    """A reader gets 164 for anything that writes, opens a file or reaches out."""
    with pytest.raises(QueryError) as refusal:
        POLICY.check_statement(sql, READER, may_write=True)

    assert refusal.value.code == 164


@pytest.mark.parametrize("sql", [b"SELECT * FROM numbers(3)", b"WITH 1 AS x SELECT x", b"SHOW TABLES"])
def test_a_reader_reads(sql: bytes) -> None:
    """Reading tables and harmless table functions is allowed."""
    POLICY.check_statement(sql, READER, may_write=True)


def test_get_never_writes() -> None:
    """Without POST the writer only reads, too."""
    with pytest.raises(QueryError) as refusal:
        POLICY.check_statement(b"INSERT INTO t VALUES (1)", WRITER, may_write=False)

    assert refusal.value.code == 164
    assert POLICY.readonly({}, WRITER, may_write=False) == 2


@pytest.mark.parametrize(("asked", "post", "get"), [({}, 0, 2), ({"readonly": "2"}, 2, 2), ({"readonly": "1"}, 1, 1)])
def test_a_writer_may_ask_to_only_read(asked: dict[str, str], post: int, get: int) -> None:
    """`readonly` by the address holds for the request, and is no setting that stays on a connection."""
    assert POLICY.readonly(asked, WRITER, may_write=True) == post
    assert POLICY.readonly(asked, WRITER, may_write=False) == get
    assert "readonly" not in POLICY.settings(asked, WRITER)


def test_an_impossible_readonly_is_refused() -> None:
    """It is 0, 1 or 2."""
    with pytest.raises(QueryError) as refusal:
        POLICY.readonly({"readonly": "3"}, WRITER, may_write=True)

    assert refusal.value.code == 36


@pytest.mark.parametrize("sql", [b"SELECT 1 INTO OUTFILE 'x'", b"SELECT * FROM Python(x)"])
def test_files_and_objects_of_this_process_are_for_nobody(sql: bytes) -> None:
    """Not even the writer reaches the gateway's own files and objects by these."""
    with pytest.raises(QueryError) as refusal:
        POLICY.check_statement(sql, WRITER, may_write=True)

    assert refusal.value.status == 501


def test_one_statement_at_a_time() -> None:
    """A second statement in one request is a syntax error, as at a server."""
    with pytest.raises(QueryError) as refusal:
        POLICY.check_statement(b"SELECT 1; DROP TABLE t", WRITER, may_write=True)

    assert refusal.value.code == 62


def test_an_unknown_setting_is_refused() -> None:
    """A setting that the engine does not have gets 115 with HTTP 404."""
    with pytest.raises(QueryError) as refusal:
        POLICY.settings({"max_treads": "1"}, WRITER)

    assert (refusal.value.code, refusal.value.status) == (115, 404)


def test_the_writer_sets_what_it_likes_over_the_bounds() -> None:
    """Bounds are in force unless the writer says otherwise."""
    settings = POLICY.settings({"max_execution_time": "7"}, WRITER)

    assert settings["max_execution_time"] == "7"
    assert settings["max_result_bytes"] == str(256 << 20)


@pytest.mark.parametrize("value", ["0", "31", "-1", "x"])
def test_a_reader_cannot_widen_its_bounds(value: str) -> None:
    """A reader's limit goes down, never up or off."""
    with pytest.raises(QueryError):
        POLICY.settings({"max_execution_time": value}, READER)


def test_a_reader_narrows_its_bounds_and_chooses_how_results_look() -> None:
    """Smaller limits and output settings are a reader's to choose; `readonly` says nothing new."""
    asked = {"max_execution_time": "3", "output_format_json_quote_64bit_integers": "0", "readonly": "0"}
    settings = POLICY.settings(asked, READER)

    assert settings["max_execution_time"] == "3"
    assert settings["output_format_json_quote_64bit_integers"] == "0"
    assert settings["max_result_rows"] == "1000000"
    assert "readonly" not in settings
    assert POLICY.readonly({"readonly": "0"}, READER, may_write=True) == 1


def test_a_reader_sets_nothing_else() -> None:
    """Any other setting is refused, as a server in readonly mode does."""
    policy = Policy(frozenset({"allow_introspection_functions"}), frozenset())
    with pytest.raises(QueryError) as refusal:
        policy.settings({"allow_introspection_functions": "1"}, READER)

    assert refusal.value.code == 164
