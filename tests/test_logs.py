"""Logs: one JSON object a line on standard error, ours and the libraries' alike."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from mts_stream.logs import configure_logging, get_logger
from mts_stream.settings import load_settings


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Give the process its own logging back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was logged."""
    printed = capsys.readouterr()
    assert printed.out == ""
    return [json.loads(line) for line in printed.err.splitlines()]


def test_an_event_carries_its_message_id(capsys: pytest.CaptureFixture[str]) -> None:
    """An event is one JSON object with time, level, process, and whatever was said with it."""
    configure_logging(load_settings(), "worker")
    get_logger("mts.engine").warning("book gap", message_id="a/b/c/d/1/2", missing=3)
    (event,) = lines(capsys)

    assert event.pop("time").endswith("Z")
    assert event == {
        "event": "book gap", "level": "warning", "process": "worker", "message_id": "a/b/c/d/1/2", "missing": 3,
    }  # fmt: skip


def test_libraries_log_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    """A record of the standard library's logging, as Faust and aiohttp write them, comes out in the same form."""
    configure_logging(load_settings(), "sink")
    logging.getLogger("faust.app").error("lost %s", "connection", extra={"group": "mts-sink"})
    (event,) = lines(capsys)

    assert (event["event"], event["level"], event["process"]) == ("lost connection", "error", "sink")
    assert event["group"] == "mts-sink"


def test_a_failure_keeps_its_traceback_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """An exception stands in the event's own object, not in lines of its own."""
    configure_logging(load_settings(), "worker")
    try:
        raise ValueError("impossible")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (event,) = lines(capsys)

    assert "ValueError: impossible" in event["exception"]


def test_what_is_below_the_level_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    """LOG_LEVEL holds for our events and the libraries'."""
    configure_logging(load_settings(log_level="ERROR"), "worker")
    get_logger("x").info("ours")
    logging.getLogger("y").warning("theirs")
    get_logger("x").error("this")

    assert [event["event"] for event in lines(capsys)] == ["this"]


def test_people_may_read_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    """LOG_FORMAT=console writes for a terminal."""
    configure_logging(load_settings(log_format="console"), "worker")
    get_logger("x").info("ready", port=1)

    assert "ready" in capsys.readouterr().err


def test_configuring_again_does_not_double(capsys: pytest.CaptureFixture[str]) -> None:
    """Two calls leave one handler."""
    configure_logging(load_settings(), "worker")
    configure_logging(load_settings(), "worker")
    get_logger("x").info("once")

    assert len(lines(capsys)) == 1
