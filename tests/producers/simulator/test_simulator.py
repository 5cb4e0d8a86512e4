"""The simulator as a whole: addresses, truth, cut connections, slow clients, its command."""

import asyncio
import json
import os
import signal
import socket as sockets
import subprocess
import sys
import time
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

from mts_stream.errors import LocalPartError, UsageError
from mts_stream.settings import Settings
from producers.simulator.commands import simulate
from producers.simulator.settings import SimulatorSettings
from producers.simulator.simulator import Simulator
from tests.producers.simulator.clients import get, open_socket, poll

EPISODES_SOON = {"first_episode_s": 0.1, "episode_interval_s": 0.5}


async def test_addresses_have_the_names_of_the_settings(simulator: Simulator) -> None:
    """What the simulator prints can be put into the environment of a producer."""
    assert {name.lower() for name in simulator.urls} <= set(Settings.model_fields)


async def test_the_truth_is_served_and_written(tmp_path: Path) -> None:
    """Every episode stands in /truth while it runs and in the file when it has ended, the last ones by the end."""
    path = tmp_path / "deep" / "truth.jsonl"
    async with Simulator(SimulatorSettings(pairs=3, truth_file=path, **EPISODES_SOON)) as simulator:  # type: ignore[arg-type]
        await poll(lambda: path.stat().st_size > 0 and len(simulator.truth) >= 3)
        served, _ = await get(f"{simulator.control_url}/truth")
        written = len(path.read_text().splitlines())
        assert written >= 1
        assert [row["id"] for row in served["episodes"]][:3] == [0, 1, 2]
        assert sum(row["end_ns"] is not None for row in served["episodes"]) <= written

    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(row["id"] for row in rows) == [row["id"] for row in simulator.truth]
    for row in rows:
        assert 0 < row["start_ns"] <= row["end_ns"]
        assert (row["expect"] == "signal") == bool(row["directions"])
        assert row["expect"] in ("signal", "none")


@pytest.mark.parametrize(("host", "path"), [("BINANCE_SPOT_WS_URL", "/stream"), ("BYBIT_WS_URL", "/v5/public/spot")])
async def test_a_connection_is_closed_at_its_age(host: str, path: str) -> None:
    """With the handshake, as Binance does after 24 hours; without the setting none is."""
    settings = SimulatorSettings(pairs=1, connection_life_s=0.4)
    async with Simulator(settings) as simulator, open_socket(f"{simulator.urls[host]}{path}") as socket:
        began_s = time.monotonic()
        message = await socket.ws.receive(timeout=5)
    assert (message.type, message.data, message.extra) == (aiohttp.WSMsgType.CLOSE, 1001, "too old")
    assert time.monotonic() - began_s >= 0.3


async def test_an_episode_shows_in_the_next_frame_of_its_leg() -> None:
    """The first frame after `start_ns` of the displaced book has the moved levels."""
    settings = SimulatorSettings(pairs=1, seed=1, first_episode_s=0.8, episode_interval_s=60)
    async with Simulator(settings) as simulator:
        await poll(lambda: simulator.truth)
        episode = simulator.truth[0]
        key = episode["venue"], episode["market"], "BTCUSDT"
        history = simulator._world.histories[key].current
        mids = [_mid(*history.at(sequence)) for sequence, _ in list(history._entries)]

    assert (mids[-1] / mids[0] - 1) * 10_000 == pytest.approx(episode["displacement_bps"], abs=5)


def _mid(bids: dict[int, int], asks: dict[int, int]) -> float:
    return (max(bids) + min(asks)) / 2


@pytest.mark.parametrize("venue", ["binance", "bybit"])
async def test_dropped_connections_end_without_a_handshake(simulator: Simulator, venue: str) -> None:
    """All sockets of that venue's market are cut, others stay, and a new one is welcome."""
    path = "/ws" if venue == "binance" else "/v5/public/spot"
    url = simulator.urls["BINANCE_SPOT_WS_URL" if venue == "binance" else "BYBIT_WS_URL"] + path
    async with open_socket(url) as first, open_socket(simulator.urls["BINANCE_PERP_WS_URL"] + "/ws") as other:
        assert await simulator.drop_connections(venue, "spot") == 1
        end = await first.ws.receive(timeout=5)
        assert end.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert (await other.ask({"method": "LIST_SUBSCRIPTIONS", "id": 1}))["result"] == []
        await poll(lambda: not simulator._world.sockets(venue, "spot").sessions)
        async with open_socket(url) as second:
            await second.ws.ping()


async def test_a_client_that_does_not_read_is_cut_alone() -> None:
    """Its full queue ends its connection; another client hears everything meanwhile."""
    settings = SimulatorSettings(pairs=2, send_queue_frames_max=20)
    async with Simulator(settings) as simulator:
        url = simulator.urls["BYBIT_WS_URL"] + "/v5/public/linear"
        async with open_socket(url) as good:
            await good.say({"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]})
            session = next(iter(simulator._world.bybit["perp"].sessions))
            async with open_socket(url) as bad:
                await bad.say({"op": "ping"})
                await bad.hear()
                blocked = next(each for each in simulator._world.bybit["perp"].sessions if each is not session)
                for _ in range(21):
                    blocked.send(b"x")
                assert (await bad.ws.receive(timeout=5)).type is not None
                await poll(lambda: blocked not in simulator._world.bybit["perp"].sessions)
            assert [(await good.hear()) for _ in range(10)][-1]["type"] == "delta"


async def test_old_and_unknown_books_are_refused(simulator: Simulator) -> None:
    """What is not listed or too long ago has no true book."""
    with pytest.raises(LookupError):
        simulator.true_book("binance", "spot", "NOPEUSDT", 1)
    with pytest.raises(LookupError):
        simulator.true_book("binance", "spot", "BTCUSDT", 1)


async def test_a_taken_port_is_said_in_one_line() -> None:
    """A port in use names itself; nothing stays open."""
    with sockets.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalPartError, match=str(port)):
            await Simulator(SimulatorSettings(pairs=1, port_base=port)).start()


async def test_a_truth_file_that_cannot_be_is_said_in_one_line(tmp_path: Path) -> None:
    """The path and the reason are named."""
    with pytest.raises(UsageError, match="truth"):
        await Simulator(SimulatorSettings(pairs=1, truth_file=tmp_path)).start()


async def test_a_market_that_fails_ends_the_wait(simulator: Simulator) -> None:
    """A defect stops the run with its error instead of leaving silent sockets."""
    simulator.market.legs.clear()
    simulator.market._paths.append(None)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        await asyncio.wait_for(simulator.wait(asyncio.Event()), 5)
    simulator._driver = None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_addresses_and_ends_when_told(tmp_path: Path, number: signal.Signals) -> None:
    """One JSON line, then service until Ctrl-C or SIGTERM, which end it within two seconds with code 0."""
    code = "from producers.simulator.commands import simulate; simulate()"
    arguments = ["--pairs", "2", "--seed", "3", "--json", "--truth", str(tmp_path / "t.jsonl")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())
        body = asyncio.run(get(addresses["BYBIT_REST_URL"] + "/v5/market/time"))[0]
        asked_s = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)

    assert body["retCode"] == 0
    assert set(addresses) > {"BINANCE_SPOT_WS_URL", "SIMULATOR_CONTROL_URL"}
    assert (process.returncode, errors) == (0, b"")
    assert time.monotonic() - asked_s < 2


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    """A bad option is click's exit 2, a file that cannot be written one line and exit 2."""
    wrong = CliRunner().invoke(simulate, ["--pairs", "99"])
    unwritable = tmp_path / "file"
    unwritable.write_text("")
    refused = CliRunner().invoke(simulate, ["--truth", str(unwritable / "t.jsonl")])

    assert wrong.exit_code == 2
    assert (refused.exit_code, refused.output.count("\n")) == (2, 1)


async def test_the_text_form_is_lines_of_settings(simulator: Simulator) -> None:
    """Without --json each line is NAME=address."""
    from producers.simulator.commands import _addresses

    lines = dict(line.split("=", 1) for line in _addresses(simulator, as_json=False).splitlines())

    assert lines == simulator.urls | {"SIMULATOR_CONTROL_URL": simulator.control_url}
