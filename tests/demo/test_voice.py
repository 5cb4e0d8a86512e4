"""How a demo speaks, and that it goes on when nobody listens."""

import json
import os
from io import StringIO

from mts_stream.local.demo.accounts import Accounts, Handled
from mts_stream.local.demo.children import PartEndedError, last_lines
from mts_stream.local.demo.ending import confirmed_records
from mts_stream.local.demo.episodes import Comparison
from mts_stream.local.demo.live_state import LiveState
from mts_stream.local.demo.summary import Outcome, summary_lines
from mts_stream.local.demo.timeline import Timeline
from mts_stream.local.demo.view import DemoView
from mts_stream.local.demo.voice import Voice


class Terminal(StringIO):
    """Something to write to that says it is a terminal, until it has gone."""

    gone = False

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.gone:
            raise OSError(5, "Input/output error")
        return super().write(text)


def view() -> DemoView:
    """An empty view."""
    return DemoView("http://page", "kafka:1", "http://store:2", "mts", None, LiveState())


def test_programs_get_json_on_stdout_and_people_lines_on_stderr() -> None:
    """The two never mix."""
    out, err = StringIO(), StringIO()
    voice = Voice(True, out, err)
    voice.say("starting")
    voice.announce({"event": "ready"})
    voice.show(view())
    voice.hide()

    assert (json.loads(out.getvalue()), err.getvalue()) == ({"event": "ready"}, "starting\n")


def test_a_terminal_gets_the_live_view_and_no_json() -> None:
    """It is taken away before the summary comes."""
    out = Terminal()
    voice = Voice(False, out, StringIO())
    voice.announce({"event": "ready"})
    voice.show(view())
    voice.show(view())
    voice.hide()
    voice.say("done")

    assert "http://page" in out.getvalue()
    assert "ready" not in out.getvalue()
    assert out.getvalue().endswith("done\n")


def test_a_terminal_that_has_gone_does_not_end_the_demo() -> None:
    """It still has to stop its parts."""
    out = Terminal()
    voice = Voice(False, out, StringIO())
    voice.show(view())
    out.gone = True
    voice.show(view())
    voice.hide()
    voice.say("nobody hears this")

    assert not voice.in_terminal


def test_the_summary_is_a_sum_that_can_be_checked() -> None:
    """Parts above the line, the whole below it."""
    accounts = Accounts(1_100, Handled(1_000, 99, 1), results=50, stored=49, missing=1, refused=1)
    outcome = Outcome(accounts, Comparison(2, 2), timeline={"first_opportunity": 12.34}, recorded=1_100)
    text = "\n".join(summary_lines(outcome))

    for line in (
        "records evaluated          1,000",
        "published                  1,100",
        "refused by the sink            1",
    ):
        assert line in text
    assert "2 expected, 2 found, 0 missed" in text
    assert "12.3 s after the start" in text
    assert "all adds up" in text


def test_the_summary_says_what_does_not_add_up_and_why_episodes_were_missed() -> None:
    """Instead of that all is well."""
    outcome = Outcome(Accounts(published=1), reasons=["BTC-USDT bybit:perp (400 ms, episode 3): no_edge 12"])
    text = "\n".join(summary_lines(outcome))

    assert "all adds up" not in text
    assert "records: 1 published" in text
    assert "missed BTC-USDT bybit:perp (400 ms, episode 3): no_edge 12" in text
    assert "none was seen" in text
    assert outcome.done_line()["problems"] == outcome.accounts.problems()


def test_each_moment_is_marked_once() -> None:
    """The first time counts, and it is said as it comes."""
    said: list[str] = []
    timeline = Timeline(0.0, said.append)
    timeline.mark("ready", "results flow")
    timeline.mark("ready", "again")

    assert list(timeline.moments) == ["ready"]
    assert len(said) == 1


def test_the_producers_last_word_is_what_kafka_confirmed() -> None:
    """A log without it, or with something else in its place, says nothing."""
    assert confirmed_records('{"event": "started"}\n{"event": "done", "published": 42}\n') == 42
    assert confirmed_records('{"event": "done"}\n') is None
    assert confirmed_records("{}") is None


def test_last_words_are_the_last_lines_that_say_something() -> None:
    """Indented, shortened, without empty ones."""
    assert last_lines("a\n\nb\n  \nc\n", 2) == "    b\n    c"
    assert len(last_lines("x" * 1000)) < 400
    assert os.linesep not in last_lines("")
    assert issubclass(PartEndedError, Exception)
