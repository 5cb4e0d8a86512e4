"""The registry against the simulator's lists: pairs, quarantine, what is kept when a list cannot be read."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from mts_stream.domain.instrument import PairListing
from mts_stream.domain.market_data import RegistryUpdate
from mts_stream.errors import SettingsError
from mts_stream.exchanges.catalogue import CatalogueRow, decode_catalogue, is_catalogue_key
from mts_stream.exchanges.venue import InstrumentPage, ListedInstrument
from mts_stream.wire.codec import decode_record
from producers.clock import SlewedClock
from producers.quarantine import MarketKey
from producers.registry import Registry, symbols_of, traded_symbols
from producers.rest import RestClient
from producers.simulator.simulator import Simulator
from tests.producers.fakes import FakeOutlet

HOUR = 3_600_000
NOWHERE = "http://127.0.0.1:1"


class Stand:
    """A registry of the simulator."""

    def __init__(self, clients: list[RestClient]) -> None:
        self.outlet = FakeOutlet()
        self.registry = Registry(clients, self.outlet, SlewedClock())

    def change(self, key: MarketKey, of: Callable[[ListedInstrument], ListedInstrument | None]) -> None:
        """Make the last good list of a market another one; its venue has to be away, so that it stays."""
        known = self.registry._lists[key]
        instruments = [changed for listed in known.instruments if (changed := of(listed)) is not None]
        self.registry._lists[key] = replace(known, instruments=instruments)

    def rows(self, venue: str, market: str) -> dict[str, CatalogueRow]:
        """The newest catalogue of a market by symbol."""
        self.registry.publish()
        values = [v for _, key, v, _, _ in self.outlet.sent if key == f"@{venue}/{market}".encode()]
        return {row.symbol: row for row in decode_catalogue(values[-1]).instruments}

    def said(self, topic: str) -> list[Any]:
        """The listings published to a topic."""
        values = [v for sent, key, v, _, _ in self.outlet.sent if sent == topic and not is_catalogue_key(key)]
        events = [decode_record(value) for value in values]
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


async def test_a_refused_region_is_one_line_and_then_quiet(clients: list[RestClient], simulator: Simulator) -> None:
    """It names the setting; the venue's markets are asked once and then left alone for a minute, then for longer."""
    fault = simulator.inject("region_451", "binance", "perp")
    with capture_logs() as lines:
        starting = asyncio.create_task(Stand(clients).registry.start("", 5))
        await asyncio.sleep(3.0)
        starting.cancel()
    told = [line for line in lines if line["event"] == "instrument list not read"]
    assert len(told) == 1 and "set BINANCE_PERP_REST_URL to another host; next try in 60 s" in told[0]["error"]
    assert fault.hits == 1


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
        while len(stand.said("mts.raw")) < 2:
            await asyncio.sleep(0.01)
    running.cancel()
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
    clients[3].base_url = NOWHERE
    stand.change(("bybit", "perp"), lambda listed: None if listed.symbol == "BTCUSDT" else listed)
    await stand.registry.refresh()
    assert "bybit:perp" not in [leg.leg for leg in stand.registry.listings[0].legs]


async def test_a_pair_joins_while_it_runs(clients: list[RestClient], simulator: Simulator) -> None:
    """Whatever begins to trade on both venues fills a free place at the next reading, and is published."""
    stand = Stand(clients)
    simulator.hide("XRP-USDT")
    await stand.registry.start("", 50)
    assert "XRP-USDT" not in [listing.pair for listing in stand.registry.listings]
    simulator.inject("listing", "binance", "perp", "XRPUSDT", everywhere=False)
    await stand.registry.refresh()
    assert "XRP-USDT" not in [listing.pair for listing in stand.registry.listings]
    simulator.inject("listing", "bybit", "spot", "XRPUSDT", everywhere=False)
    await stand.registry.refresh()
    stand.registry.publish()
    (joined,) = (listing for listing in stand.said("mts.raw") if listing.pair == "XRP-USDT")
    assert [leg.leg for leg in joined.legs] == ["binance:perp", "bybit:spot"] and joined.quarantined is None
    simulator.inject("listing", "bybit", "perp", "XRPUSDT", everywhere=False)
    await stand.registry.refresh()
    joined = stand.registry.listings[-1]
    assert [leg.leg for leg in joined.legs] == ["binance:perp", "bybit:perp", "bybit:spot"]


async def test_what_an_earlier_registry_listed_is_withdrawn(clients: list[RestClient]) -> None:
    """PAIRS changed between two runs: whoever follows the list would publish a pair that nobody registers."""
    stand = Stand(clients)
    await stand.registry.start("BTC-USDT,ETH-USDT", 1)
    published = [*stand.registry.listings, replace(stand.registry.listings[0], pair="OLD-USDT")]
    stand.registry.withdraw([*published, PairListing("GONE-USDT", None, ())])
    assert stand.said("mts.raw") == stand.said("mts.instruments") == [PairListing("OLD-USDT", None, ())]


@pytest.mark.parametrize("what", ["no instruments", "few instruments", "no figures"])
async def test_a_list_with_half_of_it_gone_is_not_believed(
    clients: list[RestClient], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A venue that answers with next to nothing ends no pair; it is told as any list that cannot be read."""
    stand = Stand(clients)
    await stand.registry.start("", 5)
    before = stand.registry.listings
    market = clients[3].market
    if what == "no figures":
        monkeypatch.setattr(market, "parse_figures", lambda bodies: {})
    else:
        kept = 0 if what == "no instruments" else 2
        parse = market.parse_instruments
        monkeypatch.setattr(market, "parse_instruments", lambda body: InstrumentPage(parse(body).instruments[:kept]))
    with capture_logs() as lines:
        assert await stand.registry.refresh()
    assert "not believed until a restart" in lines[0]["error"]
    assert [[leg.leg for leg in a.legs] for a in stand.registry.listings] == [
        [leg.leg for leg in b.legs] for b in before
    ]


async def test_turnover_lets_pairs_in_and_never_out(clients: list[RestClient]) -> None:
    """Of the largest two, whoever was once among them stays; there are at most twice as many."""
    stand = Stand(clients)
    await stand.registry.start("", 2)
    assert len(stand.registry.listings) == 2
    for client in clients:
        client.base_url = NOWHERE
    for largest in ("XRPUSDT", "DOGEUSDT", "SOLUSDT"):
        for key, known in stand.registry._lists.items():
            figures = {**known.figures, largest: replace(known.figures[largest], turnover_usd="1e15")}
            stand.registry._lists[key] = replace(known, figures=figures)
        await stand.registry.refresh()
    assert [listing.pair for listing in stand.registry.listings] == ["BTC-USDT", "ETH-USDT", "XRP-USDT", "DOGE-USDT"]


async def test_what_changed_is_in_the_next_record(clients: list[RestClient]) -> None:
    """Status, tick and multiplier are published as the venue has them now."""
    stand = Stand(clients)
    await stand.registry.start("BTC-USDT", 1)
    clients[3].base_url = NOWHERE
    stand.change(("bybit", "perp"), lambda listed: replace(listed, status="settling", tick_size="0.5"))
    await stand.registry.refresh()
    stand.registry.publish()
    (leg,) = (leg for leg in stand.said("mts.raw")[-1].legs if leg.leg == "bybit:perp")
    assert (leg.status, str(leg.tick_size)) == ("settling", "0.5")


async def test_a_halted_leg_stays_and_says_so(clients: list[RestClient], simulator: Simulator) -> None:
    """It is traded again later; the registry says what the venue says at each reading."""
    stand = Stand(clients)
    await stand.registry.start("", 3)
    simulator.inject("halting", "binance", "spot", "BTCUSDT", duration_s=0.2)
    statuses: list[str] = []
    async with asyncio.timeout(10):
        while statuses[-1:] != ["trading"] or "halted" not in statuses:
            await stand.registry.refresh()
            legs = {leg.leg: leg for leg in stand.registry.listings[0].legs}
            statuses.append(legs["binance:spot"].status)
            await asyncio.sleep(0.05)


async def test_an_end_is_told_once_a_day_before(clients: list[RestClient], simulator: Simulator) -> None:
    """The venue announces it; earlier it stands in the catalogue alone, and nobody takes the leg up any more."""
    stand = Stand(clients)
    simulator.inject("delisting_announced", "binance", "perp", "ETHUSDT", hours=70)
    await stand.registry.start("", 1)
    assert stand.rows("binance", "perp")["ETHUSDT"].reason.startswith("to be delisted at ")
    for hours, told in ((70, 0), (20, 1), (19, 0)):
        simulator.inject("delisting_announced", "bybit", "perp", "BTCUSDT", hours=hours)
        with capture_logs() as lines:
            await stand.registry.refresh()
        left_ms = (stand.rows("bybit", "perp")["BTCUSDT"].delisting_ms or 0) - SlewedClock().now_ns() / 1e6
        assert abs(left_ms / HOUR - hours) < 0.1
        assert len([line for line in lines if line["event"] == "to be delisted"]) == told
    assert [leg.status for leg in stand.registry.listings[0].legs] == ["trading"] * 4


async def test_the_catalogue_says_why(clients: list[RestClient]) -> None:
    """Every instrument of every market, in the list of instruments alone; again only when it says something new."""
    stand = Stand(clients)
    await stand.registry.start("BTC-USDT,ONE-USDT", 1)
    rows = stand.rows("binance", "perp")
    assert rows["BTCUSDT"].is_taken and not rows["BTCUSDT"].reason
    assert rows["ONEUSDT"].is_taken and "ambiguous name" in rows["ONEUSDT"].reason
    assert (rows["TSLAUSDT"].is_taken, rows["TSLAUSDT"].reason) == (False, "contract type TRADIFI_PERPETUAL")
    assert rows["1000PEPEUSDT"].reason == "PAIRS does not name it" and rows["1000PEPEUSDT"].multiplier == 1000
    stand.registry.publish()
    catalogues = [(topic, key) for topic, key, _, _, _ in stand.outlet.sent if is_catalogue_key(key)]
    markets = [f"@{venue}/{market}".encode() for venue in ("binance", "bybit") for market in ("perp", "spot")]
    assert catalogues == [("mts.instruments", key) for key in markets]
