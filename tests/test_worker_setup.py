"""What both workers share: how Faust is set up, how a start waits or refuses, and how a bug ends the process."""

import asyncio
import json
import os
import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest

from mts_stream import startup, worker
from mts_stream.errors import KafkaUnavailableError, ListenError, SettingsError, StoreError
from mts_stream.settings import Settings, load_settings
from mts_stream.startup import check_fees, check_port, exit_with, kafka_ready, make_directory, settings_or_exit
from mts_stream.wire import topics
from mts_stream.worker_options import Assignor, QuickEnd, faust_options


def options(instance_id: str = "", **settings: Any) -> dict[str, Any]:
    """Faust's options for these settings."""
    return faust_options(Settings(**settings), web_port=6066, data_dir=Path("data"), instance_id=instance_id)


def an_app(**settings: Any) -> worker.WorkerApp:
    """A worker's app."""
    return worker.create_worker(
        Settings(**settings), group="g", batched={topics.RAW}, web_port=6066, data_dir=Path("data"), process="test"
    )


def test_pages_and_web_server_are_ours_alone() -> None:
    """Loopback, and none of Faust's pages that show tables or the cluster."""
    chosen = options()

    assert (chosen["web_bind"], chosen["web_port"]) == ("127.0.0.1", 6066)
    assert [name for name in chosen if name.startswith("web_") and chosen[name] is True] == []


def test_credentials_are_passed_to_faust() -> None:
    """User, password and mechanism of SASL; TLS where the protocol says so; nothing for plain text."""
    sasl = {"kafka_sasl_username": "u", "kafka_sasl_password": "p", "kafka_sasl_mechanism": "SCRAM-SHA-512"}

    plain = options(kafka_security_protocol="SASL_PLAINTEXT", **sasl)["broker_credentials"]
    assert (plain.username, plain.password, plain.mechanism.value) == ("u", "p", "SCRAM-SHA-512")
    assert plain.protocol.value == "SASL_PLAINTEXT"
    assert options(kafka_security_protocol="SASL_SSL", **sasl)["broker_credentials"].protocol.value == "SASL_SSL"
    assert isinstance(options(kafka_security_protocol="SSL")["broker_credentials"], faust.SSLCredentials)
    assert options()["broker_credentials"] is None


def test_a_worker_with_a_name_keeps_it_on_any_port() -> None:
    """Faust would know it by its web address, and refuse it when it comes back on another port."""
    app = faust.App("t", broker="batch://h:1", consumer_group_instance_id="one", web_port=1, store="memory://")
    assert str(Assignor(app)._url) == "http://one"

    app = faust.App("t", broker="batch://h:1", web_port=1234, store="memory://")
    assert Assignor(app)._url.port == 1234


@pytest.mark.parametrize(("named", "stays"), [("", False), ("mts-worker-0", True)])
def test_a_name_of_its_own_is_given_up_at_the_end_and_one_of_a_setting_is_not(
    tmp_path: Path, named: str, stays: bool
) -> None:
    """aiokafka says goodbye for members without a name; who was named is expected back."""
    app = worker.create_worker(
        Settings(), group="g", batched={topics.RAW}, web_port=6066, data_dir=tmp_path, process="test", instance_id=named
    )
    app.keeps_name = True
    app._take_name()
    name = app.conf.consumer_group_instance_id
    coordinator = SimpleNamespace(_group_instance_id=name)
    app._consumer = SimpleNamespace(_thread=SimpleNamespace(_consumer=SimpleNamespace(_coordinator=coordinator)))

    app.leave_group()

    assert name == named or name.startswith("mts-")
    assert coordinator._group_instance_id == (name if stays else None)
    assert (tmp_path / "instance-id").exists() != stays


def test_importing_the_apps_needs_neither_kafka_nor_settings() -> None:
    """`app` is made when it is asked for, once; another name is refused as by any module."""
    from mts_stream import app as module

    assert module.app is module.app
    with pytest.raises(AttributeError):
        module.no_such_thing  # noqa: B018


async def test_waiting_for_kafka_goes_on_until_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused connections and a broker that is not ready yet are waited out; then the topics are made."""
    monkeypatch.setattr(startup, "BACKOFF_FIRST_S", 0.01)
    answers: list[Any] = [KafkaUnavailableError("not yet"), ["mts.raw"]]

    def create(_: Settings) -> list[str]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return list(answer)

    monkeypatch.setattr(startup, "create_topics", create)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        settings = Settings(kafka_bootstrap_servers=f"127.0.0.1:1,127.0.0.1:{listener.getsockname()[1]}")
        waiting = asyncio.create_task(kafka_ready(settings))
        await asyncio.sleep(0.05)
        assert len(answers) == 2, "nothing listens yet"
        listener.listen()
        await asyncio.wait_for(waiting, 10)

    assert answers == []


def test_a_refusal_is_one_line_and_a_code(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error itself, since Faust turns what is printed into log lines."""
    with pytest.raises(SystemExit) as ended:
        exit_with(SettingsError("PARTITIONS=x: must be a number"))
    assert ended.value.code == 2
    monkeypatch.setenv("PARTITIONS", "0")
    with pytest.raises(SystemExit):
        settings_or_exit()

    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "error: PARTITIONS=x: must be a number"
    assert lines[1].startswith("error: PARTITIONS='0'")


def test_a_leg_without_a_fee_today_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that would end at its first evaluation does not begin; a leg that no route needs needs no fee."""
    path = tmp_path / "fees.toml"
    fee = '[[fee]]\nvenue = "{}"\nmarket = "perp"\ntaker_bps = 5\nvalid_from = {}\n'
    path.write_text(fee.format("binance", "2024-01-01") + fee.format("bybit", "2024-01-01"))
    economics = load_settings(fees_file=path, routes="perp>perp").economics()
    check_fees(economics, 1_750_000_000 * 10**9)

    with pytest.raises(SettingsError, match=r"FEES_FILE: no fee of binance:perp, bybit:perp is in force"):
        check_fees(economics, 1_700_000_000 * 10**9)
    with pytest.raises(SettingsError, match=r"FEES_FILE: no fee of binance:spot, bybit:spot is in force"):
        check_fees(load_settings(fees_file=path).economics(), 1_750_000_000 * 10**9)


def test_the_data_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    """One that cannot be made is a wrong setting."""
    make_directory(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()

    with pytest.raises(SettingsError, match="choose one that can be written"):
        make_directory(tmp_path / "file" / "c")


async def test_a_bug_crashes_the_app_and_sets_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error goes on to Faust, the app counts as crashed, and a hanging shutdown is bounded."""
    ends: list[float] = []
    monkeypatch.setattr(worker, "end_process_later", ends.append)
    app = an_app()

    with pytest.raises(ZeroDivisionError):
        async with app.bugs_end_it():
            raise ZeroDivisionError("a bug")

    assert app.crashed
    assert ends == [worker.END_AFTER_CRASH_S]


async def test_an_error_for_its_user_is_one_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told once, without a traceback, however many parts of Faust hear of it; the end prints it and gives code 1."""
    monkeypatch.setattr(worker, "end_process_later", lambda *_: None)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    app = an_app()
    error = StoreError("the table is gone; make it")
    for _ in range(3):
        with pytest.raises(StoreError):
            async with app.bugs_end_it():
                raise error

    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["error"] == "the table is gone; make it"


def test_a_crash_for_its_user_ends_with_its_line(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Faust raises at its end is printed as one line, with the error's code."""

    def crashed(_: faust.Worker) -> None:
        raise StoreError("the table is gone; make it")

    monkeypatch.setattr(faust.Worker, "_shutdown_loop", crashed)
    with pytest.raises(SystemExit) as ended:
        QuickEnd._shutdown_loop(QuickEnd.__new__(QuickEnd))

    assert ended.value.code == 1
    assert capfd.readouterr().err == "error: the table is gone; make it\n"


def test_what_breaks_on_the_way_out_is_not_why_it_ends(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Agents are cancelled and threads break while a told worker ends: the told error stands; others go on."""

    def cancelled(_: faust.Worker) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(faust.Worker, "_shutdown_loop", cancelled)
    end = QuickEnd.__new__(QuickEnd)
    end.app = an_app()
    with pytest.raises(asyncio.CancelledError):
        end._shutdown_loop()
    end.app.told = StoreError("the table is gone; make it")
    with pytest.raises(SystemExit):
        end._shutdown_loop()

    assert capfd.readouterr().err == "error: the table is gone; make it\n"


def test_a_port_in_use_is_seen_before_the_start() -> None:
    """The line names process, address, variable and option; a free port says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ListenError) as refused:
            check_port("127.0.0.1", port, process="sink")

    assert str(refused.value) == (
        f"the sink's web server cannot listen on 127.0.0.1:{port} (SINK_WEB_PORT): the port is in use; "
        "stop what uses it, or choose another with SINK_WEB_PORT or --web-port"
    )
    check_port("127.0.0.1", port, process="sink")


@pytest.mark.parametrize(("gone", "crashed"), [(["mts.raw", "mts.spreads"], True), ([], False)])
async def test_a_broker_that_lost_the_topics_ends_the_worker(
    gone: list[str], crashed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it holds belongs to another log; the line names the topics. A broker that has them is welcome."""
    monkeypatch.setattr(worker, "end_process_later", lambda *_: None)
    monkeypatch.setattr(worker, "missing_topics", lambda settings: gone)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    app = an_app()

    await app._check_topics()

    assert app.crashed is crashed
    if crashed:
        assert "came back without the topics mts.raw, mts.spreads; start this process again" in str(app.crash_reason)


async def test_topics_that_cannot_be_asked_for_end_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka went away again: the watch over it says so."""

    def away(_: Settings) -> list[str]:
        raise KafkaUnavailableError("away")

    monkeypatch.setattr(worker, "missing_topics", away)
    app = an_app()
    await app._check_topics()

    assert not app.crashed


async def test_a_recovery_that_stands_still_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch looks every second; the process ends instead of standing still for ever."""
    monkeypatch.setattr(worker, "WATCH_INTERVAL_S", 0.01)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(worker, "end_process_later", lambda *_: None)
    monkeypatch.setattr(worker.RecoveryWatch, "stalled_for_s", lambda self: 46.0)
    app = an_app()

    await asyncio.wait_for(app._watch_recovery(), 5)

    assert app.crashed
    assert "recovery has not advanced for 46 s" in str(app.crash_reason)


def test_a_process_that_hangs_is_ended(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With code 1, after the time given, and with its last line where there is one."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)

    worker.end_process_later(0.01).join(5)
    worker.end_process_later(0.01, "error: why").join(5)

    assert codes == [1, 1]
    assert capfd.readouterr().err == "error: why\n"
