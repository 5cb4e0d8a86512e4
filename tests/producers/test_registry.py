"""The registry against the simulator's lists: pairs, quarantine, what is kept when a list cannot be read."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from mts_stream.domain.market_data import RegistryUpdate
from mts_stream.errors import SettingsError
from mts_stream.wire.codec import decode_record
from producers.clock import SlewedClock
from producers.registry import Registry, symbols_of, traded_symbols
from producers.rest import RestClient
from tests.producers.fakes import FakeOutlet

NOWHERE = "http://127.0.0.1:1"


class Stand:
    """A registry of the simulator."""

    def __init__(self, clients: list[RestClient]) -> None:
        self.outlet = FakeOutlet()
        self.registry = Registry(clients, self.outlet, SlewedClock())

    def said(self, topic: str) -> list[Any]:
        """The listings published to a topic."""
        events = [decode_record(value) for sent, _, value, _, _ in self.outlet.sent if sent == topic]
        assert all(isinstance(event, RegistryUpdate) for event in events)
        return [event.listing for event in events if isinstance(event, RegistryUpdate)]


async def test_every_pair_is_published_to_both_topics(clients: list[RestClient]) -> None:
    """Keyed by pair, multipliers and intervals in, rows that fit no pair out, the impostor quarantined."""
    stand = Stand(clients)
    await stand.registry.start("", 50)
    stand.registry.publish()
    raw = {listing.pair: listing for listing in stand.said("mts.raw")}

    assert list(raw) == [listing.pair for listing in stand.said("mts.instruments")]
    assert set(raw) == {f"{b}-USDT" for b in ("BTC", "ETH", "SOL", "PEPE", "SHIB", "XRP", "DOGE", "ONE")}
    assert [key for _, key, _, _, _ in stand.outlet.sent[:2]] == [next(iter(raw)).encode()] * 2
    assert [pair for pair, listing in raw.items() if listing.quarantined] == ["ONE-USDT"]
    shib = {leg.leg: leg for leg in raw["SHIB-USDT"].legs}
    assert shib["bybit:perp"].symbol == "SHIB1000USDT" and shib["bybit:perp"].multiplier == 1000
    assert shib["binance:spot"].multiplier == 1 and shib["binance:spot"].funding_interval_hours is None
    assert all(leg.reference_price > 0 and leg.lot_size > 0 for leg in shib.values())
    assert shib["binance:perp"].funding_interval_hours in (1, 2, 4, 8)
    assert stand.registry.catalogue.excluded["binance", "perp", "TSLAUSDT"] == "contract type TRADIFI_PERPETUAL"
    assert symbols_of(raw.values(), "bybit", "perp")["SHIB1000USDT"] == "SHIB-USDT"


async def test_ids_run_on(clients: list[RestClient]) -> None:
    """Two publications never share a message id."""
    stand = Stand(clients)
    await stand.registry.start("BTC-USDT", 1)
    stand.registry.publish()
    stand.registry.publish()
    raw = stand.outlet.envelopes()
    assert [(e.conn, e.seq, e.symbol) for e in raw] == [("registry", 1, "BTC-USDT"), ("registry", 2, "BTC-USDT")]


async def test_a_list_that_cannot_be_read_stays_as_it_was(clients: list[RestClient]) -> None:
    """The others are read anew."""
    stand = Stand(clients)
    await stand.registry.start("BTC-USDT", 1)
    before = stand.registry.listings[0]
    clients[0].base_url = NOWHERE
    assert await stand.registry.refresh()
    after = stand.registry.listings[0]
    assert [leg.leg for leg in after.legs] == [leg.leg for leg in before.legs]


async def test_it_does_not_start_before_every_list_is_known(clients: list[RestClient]) -> None:
    """It says which venue is missing and tries again."""
    stand = Stand(clients)
    good, clients[0].base_url = clients[0].base_url, NOWHERE
    assert not await stand.registry.refresh()
    starting = asyncio.create_task(stand.registry.start("", 5))
    await asyncio.sleep(0.05)
    assert not starting.done()
    clients[0].base_url = good
    await asyncio.wait_for(starting, 20)
    assert len(stand.registry.listings) == 5


async def test_an_unknown_pair_ends_the_start(clients: list[RestClient]) -> None:
    """With the nearest known ones."""
    with pytest.raises(SettingsError, match="BTC-USDT"):
        await Stand(clients).registry.start("BTCC-USDT", 5)


async def test_it_reads_and_publishes_again(clients: list[RestClient]) -> None:
    """Every interval, and says each time what is listed now."""
    stand = Stand(clients)
    await stand.registry.start("BTC-USDT", 1)
    told: list[str] = []
    running = asyncio.create_task(
        stand.registry.run(0.02, lambda listings: told.extend(listing.pair for listing in listings))
    )
    async with asyncio.timeout(10):
        while len(stand.outlet.sent) < 4:
            await asyncio.sleep(0.01)
    running.cancel()
    assert len(stand.said("mts.raw")) >= 2
    assert set(told) == {"BTC-USDT"}


async def test_symbols_at_their_end_are_traded_no_more(clients: list[RestClient]) -> None:
    """A halted one may come back and stays; one that settles or is delisted does not."""
    stand = Stand(clients)
    await stand.registry.start("BTC-USDT", 1)
    (listing,) = stand.registry.listings
    for status, traded in (("trading", True), ("halted", True), ("settling", False), ("delisted", False)):
        legs = tuple(replace(leg, status=status) for leg in listing.legs)
        assert bool(traded_symbols([replace(listing, legs=legs)], "bybit", "perp")) is traded


async def test_a_leg_that_is_not_listed_any_more_is_left_out(clients: list[RestClient]) -> None:
    """The engine calls it delisted."""
    stand = Stand(clients)
    await stand.registry.start("BTC-USDT", 1)
    key = ("bybit", "perp")
    known = stand.registry._lists[key]
    left = [i for i in known.instruments if i.symbol != "BTCUSDT"]
    stand.registry._lists[key] = type(known)(left, known.figures)
    clients[3].base_url = NOWHERE
    await stand.registry.refresh()
    assert "bybit:perp" not in [leg.leg for leg in stand.registry.listings[0].legs]
