"""Faults of depth streams over real sockets: what a client sees is what the venue would do."""

import asyncio
import json
from typing import Any

import pytest

from producers.simulator.simulator import Simulator
from tests.producers.simulator.clients import (
    Message,
    PlainBook,
    Socket,
    follow_binance,
    follow_bybit,
    open_socket,
    poll,
)

SYMBOL = "BTCUSDT"
PLACES = [("binance", "spot"), ("binance", "perp"), ("bybit", "perp")]


def depth_socket(simulator: Simulator, venue: str, market: str) -> Any:
    """A socket for the depth of BTCUSDT; Bybit's has yet to subscribe."""
    if venue == "bybit":
        return open_socket(simulator.urls["BYBIT_WS_URL"] + f"/v5/public/{'spot' if market == 'spot' else 'linear'}")
    path = f"/public/ws/{SYMBOL.lower()}@depth@0ms" if market == "perp" else f"/ws/{SYMBOL.lower()}@depth@100ms"
    return open_socket(simulator.urls[f"BINANCE_{market.upper()}_WS_URL"] + path)


async def first_event(socket: Socket, venue: str) -> Message:
    """Subscribe where the path does not; the first event or snapshot."""
    if venue == "bybit":
        await socket.say({"op": "subscribe", "args": [f"orderbook.50.{SYMBOL}"]})
        return (await socket.hear_until("type", "snapshot"))[-1]
    return await socket.hear()


def last_id(event: Message) -> int:
    """The sequence of an event of either venue."""
    return int(event.get("data", event)["u"])


def follows(event: Message, previous: int) -> bool:
    """Whether an event continues a sequence by its venue's rule."""
    if "data" in event:
        return last_id(event) == previous + 1
    return event["pu"] == previous if "pu" in event else event["U"] == previous + 1


@pytest.mark.parametrize(("venue", "market"), PLACES)
async def test_lost_doubled_and_reordered_frames_show_in_the_ids(simulator: Simulator, venue: str, market: str) -> None:
    """A gap where frames are lost, the same id twice where doubled, an older id behind a newer where reordered."""
    async with depth_socket(simulator, venue, market) as socket:
        last = last_id(await first_event(socket, venue))
        simulator.inject("lost_frames", venue, market, SYMBOL, frames=2)
        event = await _first(socket, last, lambda event, last: not follows(event, last))
        assert last_id(event) > last

        simulator.inject("doubled_frames", venue, market, SYMBOL, frames=1)
        await _first(socket, last_id(event), lambda event, last: last_id(event) == last)

        simulator.inject("reordered_frames", venue, market, SYMBOL, frames=1)
        await _first(socket, 0, lambda event, last: last_id(event) < last)
    await poll(lambda: all(row["end_ns"] for row in simulator.fault_truth))
    assert [(row["name"], row["hits"]) for row in simulator.fault_truth] == [
        ("lost_frames", 2), ("doubled_frames", 1), ("reordered_frames", 1)
    ]  # fmt: skip


async def _first(socket: Socket, last: int, is_found: Any) -> Message:
    for _ in range(100):
        event = await socket.hear()
        if is_found(event, last):
            return event
        last = last_id(event)
    raise AssertionError("never seen")


@pytest.mark.parametrize(("venue", "market"), [("binance", "perp"), ("bybit", "spot")])
async def test_late_frames_carry_their_own_time(simulator: Simulator, venue: str, market: str) -> None:
    """They arrive after the delay, in order and complete, with the event time of when they were made."""
    async with depth_socket(simulator, venue, market) as socket:
        last = last_id(await first_event(socket, venue))
        fault = simulator.inject("late_frames", venue, market, SYMBOL, duration_s=0.5, delay_s=1.0)
        ages_ms = []
        for _ in range(30):
            event = await socket.hear()
            assert follows(event, last)
            last = last_id(event)
            ages_ms.append(simulator._clock_ns() // 1_000_000 - event.get("E", event.get("ts")))
    assert max(ages_ms) >= 950
    assert fault.hits > 0


@pytest.mark.parametrize("market", ["spot", "perp"])
async def test_binance_ids_jump_at_a_reset(simulator: Simulator, market: str) -> None:
    """The next event is no successor, and the book at the new ids is known as a new epoch."""
    async with depth_socket(simulator, "binance", market) as socket:
        last = last_id(await socket.hear())
        simulator.inject("sequence_reset", "binance", market, SYMBOL, jump=1_000_000)
        event = await _first(socket, last, lambda event, last: not follows(event, last))
        assert last_id(event) > last + 900_000
        assert simulator.epoch("binance", market, SYMBOL) == 1
        assert len(simulator.true_book("binance", market, SYMBOL, last, epoch=0).bids) > 200
        for sequence, epoch in ((last, 7), (last_id(event), 0)):
            with pytest.raises(LookupError):
                simulator.true_book("binance", market, SYMBOL, sequence, epoch=epoch)


@pytest.mark.parametrize("as_delta", [False, True])
async def test_bybit_starts_at_one_after_a_reset(simulator: Simulator, as_delta: bool) -> None:
    """`u` 1 holds the whole book, whatever its type says, and deltas go on from there; both epochs stay known."""
    async with depth_socket(simulator, "bybit", "perp") as socket:
        last = last_id(await first_event(socket, "bybit"))
        for epoch in (1, 2):
            simulator.inject("sequence_reset", "bybit", "perp", SYMBOL, as_delta=as_delta)
            event = await _first(socket, last, lambda event, last: last_id(event) == 1)
            assert event["type"] == ("delta" if as_delta else "snapshot")
            book = PlainBook(event["data"]["b"], event["data"]["a"])
            for last in range(2, 8):
                event = await socket.hear()
                assert last_id(event) == last
                book.apply(event["data"])
                assert book.equals(simulator.true_book("bybit", "perp", SYMBOL, last, epoch=epoch))
        assert len(simulator.true_books("bybit", "perp", SYMBOL, 3)) == 2


@pytest.mark.parametrize(("venue", "market"), PLACES)
async def test_a_crossed_book_is_the_venues_own(simulator: Simulator, venue: str, market: str) -> None:
    """The published book crosses for a moment without any gap, is true in the history, and uncrosses."""

    def is_crossed() -> bool:
        history = simulator._world.histories[venue, market, SYMBOL].current
        bids, asks = history.at(history.last_sequence)
        return max(bids) >= min(asks)

    async with depth_socket(simulator, venue, market) as socket:
        last = last_id(await first_event(socket, venue))
        simulator.inject("crossed_book", venue, market, SYMBOL, duration_s=0.4)
        await poll(is_crossed)
        await poll(lambda: not is_crossed())
        for _ in range(5):
            event = await socket.hear()
            assert follows(event, last)
            last = last_id(event)


async def test_a_venue_restart_drops_all_its_sockets_and_ids(simulator: Simulator) -> None:
    """Both markets' clients are cut and find other ids; the other venue's notice nothing."""
    async with (
        depth_socket(simulator, "bybit", "perp") as perp,
        depth_socket(simulator, "bybit", "spot") as spot,
        depth_socket(simulator, "binance", "spot") as other,
    ):
        await first_event(perp, "bybit")
        await first_event(spot, "bybit")
        assert simulator.inject("venue_restart", "bybit").hits == 2
        for cut in (perp, spot):
            with pytest.raises(TypeError):
                while True:
                    await cut.hear()
        await other.hear()
    async with depth_socket(simulator, "bybit", "perp") as perp:
        snapshot = await first_event(perp, "bybit")
        assert last_id(snapshot) < 1000
        assert PlainBook(snapshot["data"]["b"], snapshot["data"]["a"]).equals(
            simulator.true_book("bybit", "perp", SYMBOL, last_id(snapshot))
        )


async def test_binance_restarts_with_ids_of_another_place(simulator: Simulator) -> None:
    """The new ids may be lower; the true book at them is known."""
    before = simulator._world.market.legs["binance", "spot", SYMBOL].book.last_id
    simulator.inject("venue_restart", "binance")
    async with depth_socket(simulator, "binance", "spot") as socket:
        event = await socket.hear()
    assert abs(last_id(event) - before) > 100_000


async def test_the_recipes_hold_after_resets_and_restarts(simulator: Simulator) -> None:
    """A client that starts anew has the true book at every sequence again."""
    for venue, follow in (("binance", follow_binance), ("bybit", follow_bybit)):
        for market in ("spot", "perp"):
            simulator.inject("sequence_reset", venue, market)
        simulator.inject("venue_restart", venue)
        for market in ("spot", "perp"):
            await follow(simulator, market, SYMBOL, 8)


async def test_a_skewed_clock_shows_in_events_and_in_the_time_endpoint(simulator: Simulator) -> None:
    """Event times and server time are off by the same seconds, the other venue's are not."""
    import aiohttp

    fault = simulator.inject("clock_skew", "binance", skew_s=-1.5, duration_s=30)
    assert fault.hits == len(simulator.market.legs) / 2
    async with depth_socket(simulator, "binance", "spot") as socket, aiohttp.ClientSession() as http:
        event = await socket.hear()
        binance = await (await http.get(simulator.urls["BINANCE_PERP_REST_URL"] + "/fapi/v1/time")).json()
        bybit = await (await http.get(simulator.urls["BYBIT_REST_URL"] + "/v5/market/time")).json()
    now_ms = simulator._clock_ns() // 1_000_000
    assert now_ms - event["E"] == pytest.approx(1500, abs=450)
    assert now_ms - binance["serverTime"] == pytest.approx(1500, abs=450)
    assert now_ms - bybit["time"] == pytest.approx(0, abs=450)


async def test_wrong_injections_are_refused(simulator: Simulator) -> None:
    """Names, places, symbols and parameters that the catalogue does not hold."""
    for name, place, params in (
        ("nope", ("binance", "spot"), {}),
        ("rest_418", ("bybit", "spot"), {}),
        ("lost_frames", ("binance", "spot", "NOPEUSDT"), {}),
        ("lost_frames", ("binance", "spot", SYMBOL), {"seconds": 1}),
    ):
        with pytest.raises(ValueError, match=r"no fault|cannot be|not listed"):
            simulator.inject(name, *place, **params)  # type: ignore[arg-type]
    await asyncio.sleep(0)
    assert json.dumps(simulator.fault_truth) == "[]"
