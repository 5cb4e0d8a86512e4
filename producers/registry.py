"""The instrument registry: reads both venues' lists, keeps the last good ones, and says what every pair is."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from mts_stream.domain.instrument import PairListing
from mts_stream.errors import VenueError
from mts_stream.exchanges.registry import encode_listing
from mts_stream.exchanges.venue import ListedInstrument
from mts_stream.logs import get_logger
from mts_stream.wire.envelope import REGISTRY_MARKET, REGISTRY_VENUE, encode_envelope
from mts_stream.wire.topics import INSTRUMENTS, RAW
from producers.backoff import Backoff
from producers.clock import SlewedClock
from producers.listings import Catalogue, MarketKey, MarketList, SymbolKey, build_catalogue, narrowed, select
from producers.records import Outlet
from producers.rest import RestClient

CONN = "registry"
PAGES_MAX = 50
ENDED_STATUSES = frozenset({"settling", "delisted"})

log = get_logger(__name__)


class Registry:
    """Reads, selects and publishes; `listings` is what it last said, the highest turnover first."""

    def __init__(self, clients: Sequence[RestClient], outlet: Outlet, clock: SlewedClock) -> None:
        self.listings: list[PairListing] = []
        self.catalogue = Catalogue({}, {})
        self._clients, self._outlet, self._clock = clients, outlet, clock
        self._lists: dict[MarketKey, MarketList] = {}
        self._symbols: frozenset[SymbolKey] = frozenset()
        self._gen = clock.now_ns() // 1_000_000
        self._seq = 0

    async def start(self, pairs: str, top: int) -> None:
        """Read all lists, waiting for venues that do not answer, and select the pairs; raises SettingsError."""
        backoff = Backoff(base_s=2.0)
        while not await self.refresh():  # noqa: ASYNC110  venues do not say when they are back
            await asyncio.sleep(backoff.next_s())
        self.listings = select(self.catalogue, pairs, top)
        self._symbols = frozenset(
            (leg.venue, leg.market, leg.symbol) for listing in self.listings for leg in listing.legs
        )
        log.info("pairs selected", count=len(self.listings), pairs=[listing.pair for listing in self.listings])

    async def refresh(self) -> bool:
        """Read the lists again; a list that cannot be read stays as it was. True if every list is known."""
        outcomes = await asyncio.gather(*(self._read(client) for client in self._clients))
        complaints: dict[str, VenueError] = {}
        for client, error in zip(self._clients, outcomes, strict=True):
            if error is not None:
                complaints.setdefault(client.market.venue, error)
        for venue, error in complaints.items():
            log.warning("instrument list not read", venue=venue, error=str(error), kept=len(self._lists))
        if len(self._lists) < len(self._clients):
            return False
        self.catalogue = build_catalogue(self._lists)
        self._update()
        return True

    async def _read(self, client: RestClient) -> VenueError | None:
        market = client.market
        try:
            instruments = await self._read_pages(client)
            bodies = [await client.get(request, bytes) for request in market.figures_requests()]
            figures = market.parse_figures(bodies)
        except VenueError as error:
            return error
        except ValueError as error:  # msgspec's errors are ValueErrors
            return VenueError(f"{market.venue} {market.market}: unreadable figures: {error}")
        self._lists[market.venue, market.market] = MarketList(instruments, figures)
        return None

    async def _read_pages(self, client: RestClient) -> list[ListedInstrument]:
        instruments: list[ListedInstrument] = []
        cursor = ""
        for _ in range(PAGES_MAX):
            page = await client.get(client.market.instruments_request(cursor), client.market.parse_instruments)
            instruments += page.instruments
            cursor = page.cursor
            if not cursor:
                return instruments
        raise VenueError(f"{client.market.venue} {client.market.market}: more than {PAGES_MAX} pages of instruments")

    def _update(self) -> None:
        """What was selected stays selected; a leg or pair that no list holds any more has no legs left."""
        for index, known in enumerate(self.listings):
            candidate = self.catalogue.candidates.get(known.pair)
            found = candidate.listing if candidate else PairListing(known.pair, None, ())
            self.listings[index] = narrowed(found, self._symbols)
            if found.legs and self.listings[index].quarantined != known.quarantined:
                log.warning("quarantine changed", pair=known.pair, reason=self.listings[index].quarantined)

    def publish(self) -> None:
        """Write every pair's record to the raw log and to the list of instruments."""
        for listing in self.listings:
            value = self._record(listing)
            key = listing.pair.encode()
            # however full the queue: a pair's frames without its record are dead letters
            self._outlet.send(RAW, key, value, "registry", must=True)
            self._outlet.send(INSTRUMENTS, key, value, "instruments", must=True)

    async def run(self, interval_s: float, on_listings: Callable[[list[PairListing]], None]) -> None:
        """Read and publish for ever; `on_listings` is told what was published."""
        while True:
            await asyncio.sleep(interval_s)
            await self.refresh()
            self.publish()
            on_listings(self.listings)

    def _record(self, listing: PairListing) -> bytes:
        self._seq += 1
        return encode_envelope(
            venue=REGISTRY_VENUE, market=REGISTRY_MARKET, channel="instruments", kind="registry", symbol=listing.pair,
            pair=listing.pair, received_ns=self._clock.now_ns(), conn=CONN, gen=self._gen, seq=self._seq,
            frame=encode_listing(listing),
        )  # fmt: skip


def symbols_of(listings: Iterable[PairListing], venue: str, market: str) -> dict[str, str]:
    """Symbol to pair of one market, in the order of the listings."""
    return {
        leg.symbol: listing.pair
        for listing in listings
        for leg in listing.legs
        if (leg.venue, leg.market) == (venue, market)
    }


def traded_symbols(listings: Iterable[PairListing], venue: str, market: str) -> set[str]:
    """The symbols of one market whose trading has not come to its end; a halted one may be traded again."""
    return {
        leg.symbol
        for listing in listings
        for leg in listing.legs
        if (leg.venue, leg.market) == (venue, market) and leg.status not in ENDED_STATUSES
    }
