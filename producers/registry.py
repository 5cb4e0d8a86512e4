"""The instrument registry: reads both venues' lists, keeps the last good ones, and says what every pair is.

What is watched only grows while a process runs: a pair joins when PAIRS names it, or when its turnover brings it among
the PAIRS_TOP largest (up to GROWTH_MAX times as many), a leg when it begins to trade. A pair leaves when its venues end
it, never by its turnover: whoever follows it shall not lose it to a quiet hour.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from mts_stream.domain.instrument import PairListing
from mts_stream.errors import VenueError
from mts_stream.exchanges.catalogue import KIND, MarketCatalogue, catalogue_key, encode_catalogue, utc
from mts_stream.exchanges.registry import encode_listing
from mts_stream.exchanges.venue import ListedInstrument
from mts_stream.logs import get_logger
from mts_stream.wire.envelope import REGISTRY_MARKET, REGISTRY_VENUE, encode_envelope
from mts_stream.wire.topics import INSTRUMENTS, RAW
from producers.backoff import Backoff
from producers.clock import SlewedClock
from producers.listings import (
    Catalogue,
    Explanation,
    MarketList,
    Selection,
    SymbolKey,
    build_catalogue,
    symbol_key,
)
from producers.quarantine import MarketKey, Quarantine
from producers.records import Outlet
from producers.rest import RestClient

CONN = "registry"
PAGES_MAX = 50
GROWTH_MAX = 2
ENDED_STATUSES = frozenset({"settling", "delisted"})
PRICES_APART_NS_MAX = 30_000_000_000  # prices of readings farther apart than this are not compared
KEPT_SHARE_MIN = 0.5  # of a market's instruments from one reading to the next
CATALOGUE_EVERY = 10  # readings, where nothing but turnovers changed
END_TOLD_MS = 24 * 3_600_000

log = get_logger(__name__)


class Registry:
    """Reads, selects and publishes; `listings` is what it last said, the highest turnover first."""

    def __init__(self, clients: Sequence[RestClient], outlet: Outlet, clock: SlewedClock) -> None:
        self.listings: list[PairListing] = []
        self.catalogue = Catalogue({}, {})
        self._clients, self._outlet, self._clock = clients, outlet, clock
        self._lists: dict[MarketKey, MarketList] = {}
        self._selection = Selection("", 0)
        self._watched: dict[str, None] = {}
        self._symbols: set[SymbolKey] = set()
        self._quarantine = Quarantine()
        self._ends_told: set[SymbolKey] = set()
        self._catalogues = _CatalogueLog()
        self._gen = clock.now_ns() // 1_000_000
        self._seqs: Counter[str] = Counter()

    async def start(self, pairs: str, top: int) -> None:
        """Read all lists, waiting for venues that do not answer, and select the pairs; raises SettingsError."""
        backoff = Backoff(base_s=2.0)
        while not await self._read_what_answers():  # noqa: ASYNC110  venues do not say when they are back
            await asyncio.sleep(backoff.next_s())
        self._select(pairs, top)
        log.info("pairs selected", count=len(self.listings), pairs=[listing.pair for listing in self.listings])
        for listing in self.listings:
            if listing.quarantined:
                log.warning("pair quarantined", pair=listing.pair, reason=listing.quarantined)

    async def look(self, pairs: str, top: int, named_by: str = "PAIRS") -> None:
        """Read all lists once and select the pairs; raises what a venue fails with, and SettingsError."""
        for error in (await self._read_all()).values():
            raise error
        self._select(pairs, top, named_by)

    def _select(self, pairs: str, top: int, named_by: str = "PAIRS") -> None:
        self._selection = Selection(pairs, top)
        self._selection.check(self.catalogue, named_by)
        self._update()

    async def refresh(self) -> bool:
        """Read the lists again; a list that cannot be read stays as it was. True if every list is known."""
        if not await self._read_what_answers():
            return False
        before = {listing.pair: listing for listing in self.listings}
        self._update()
        for listing in self.listings:
            _tell_change(before.get(listing.pair), listing)
        return True

    async def _read_what_answers(self) -> bool:
        """Read the lists, and say once per venue where that cannot be done; True if every list is known."""
        for venue, error in (await self._read_all()).items():
            log.warning("instrument list not read", venue=venue, error=str(error), kept=len(self._lists))
        return len(self._lists) == len(self._clients)

    async def _read_all(self) -> dict[str, VenueError]:
        """Read the lists; the first error of each venue that has one."""
        outcomes = await asyncio.gather(*(self._read(client) for client in self._clients))
        complaints: dict[str, VenueError] = {}
        for client, error in zip(self._clients, outcomes, strict=True):
            if error is not None:
                complaints.setdefault(client.market.venue, error)
        if len(self._lists) == len(self._clients):
            self.catalogue = await asyncio.to_thread(build_catalogue, dict(self._lists), frozenset(self._symbols))
        return complaints

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
        return self._accept((market.venue, market.market), MarketList(instruments, figures, self._clock.now_ns()))

    def _accept(self, key: MarketKey, read: MarketList) -> VenueError | None:
        """Take a list that can be one: with half of a market gone at once, every pair would end."""
        known = self._lists[key].instruments if key in self._lists else ()
        if not read.instruments or not read.figures or len(read.instruments) < len(known) * KEPT_SHARE_MIN:
            counts = f"{len(read.instruments)} instruments, {len(read.figures)} with figures"
            return VenueError(f"{' '.join(key)}: lists {counts}, after {len(known)}: not believed until a restart")
        self._lists[key] = read
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
        """Let join what may, and state every watched pair anew; one that no list holds any more has no legs left."""
        self._join()
        newest_ns = max((known.read_ns for known in self._lists.values()), default=0)
        stale = {key for key, known in self._lists.items() if newest_ns - known.read_ns > PRICES_APART_NS_MAX}
        self.listings = [self._listing(pair, stale) for pair in self._watched]
        self._tell_ends()

    def _join(self) -> None:
        """Pairs, then legs; ended pairs leave their place to others."""
        room = len(self._selection.named) or self._selection.top * GROWTH_MAX
        room -= sum(1 for listing in self.listings if any(leg.status not in ENDED_STATUSES for leg in listing.legs))
        for pair in self._selection.pairs(self.catalogue):
            if pair not in self._watched and room > 0:
                self._watched[pair] = None
                room -= 1
        for pair in self._watched:
            if (candidate := self.catalogue.candidates.get(pair)) is not None:
                self._symbols.update(symbol_key(leg) for leg in self._selection.joining_legs(candidate))

    def _listing(self, pair: str, stale: set[MarketKey]) -> PairListing:
        candidate = self.catalogue.candidates.get(pair)
        legs = tuple(leg for leg in candidate.legs if symbol_key(leg) in self._symbols) if candidate else ()
        return PairListing(pair, self._quarantine.judge(pair, legs, stale), legs)

    def _tell_ends(self) -> None:
        """Say once, a day before, that a leg will be delisted."""
        now_ms = self._clock.now_ns() // 1_000_000
        for (venue, market), known in self._lists.items():
            for listed in known.instruments:
                key, end_ms = (venue, market, listed.symbol), listed.delisting_ms
                if (
                    end_ms is None
                    or key not in self._symbols
                    or key in self._ends_told
                    or end_ms - now_ms > END_TOLD_MS
                ):
                    continue
                self._ends_told.add(key)
                log.warning("to be delisted", venue=venue, market=market, symbol=listed.symbol, at=utc(end_ms))

    def withdraw(self, published: Iterable[PairListing]) -> None:
        """Publish without legs what an earlier registry listed and this one does not: nobody shall follow it."""
        gone = [listing.pair for listing in published if listing.legs and listing.pair not in self._watched]
        if gone:
            log.info("pairs withdrawn", pairs=gone)
        for pair in gone:
            self._publish(PairListing(pair, None, ()))

    def publish(self) -> None:
        """Write every pair's record to the raw log and to the list of instruments, and there the catalogue."""
        for listing in self.listings:
            self._publish(listing)
        catalogues = self.explain()
        if self._catalogues.is_due(catalogues):
            for catalogue in catalogues:
                key = catalogue_key(catalogue.venue, catalogue.market)
                value = self._record(KIND, key.decode(), "", encode_catalogue(catalogue))
                self._outlet.send(INSTRUMENTS, key, value, "catalogue")

    def _publish(self, listing: PairListing) -> None:
        value = self._record("registry", listing.pair, listing.pair, encode_listing(listing))
        key = listing.pair.encode()
        # however full the queue: a pair's frames without its record are dead letters
        self._outlet.send(RAW, key, value, "registry", must=True)
        self._outlet.send(INSTRUMENTS, key, value, "instruments", must=True)

    def explain(self) -> list[MarketCatalogue]:
        """What there is to say of every instrument of every market."""
        quarantined = {listing.pair: listing.quarantined for listing in self.listings}
        explanation = Explanation(self.catalogue, self._selection, self._symbols, quarantined)
        return [explanation.market(key, known) for key, known in sorted(self._lists.items())]

    async def run(self, interval_s: float, on_listings: Callable[[list[PairListing]], None]) -> None:
        """Read and publish for ever; `on_listings` is told what was published."""
        while True:
            await asyncio.sleep(interval_s)
            await self.refresh()
            self.publish()
            on_listings(self.listings)

    def _record(self, kind: str, symbol: str, pair: str, frame: bytes) -> bytes:
        conn = CONN if kind == "registry" else kind
        self._seqs[conn] += 1
        return encode_envelope(
            venue=REGISTRY_VENUE, market=REGISTRY_MARKET, channel="instruments", kind=kind, symbol=symbol, pair=pair,
            received_ns=self._clock.now_ns(), conn=conn, gen=self._gen, seq=self._seqs[conn], frame=frame,
        )  # fmt: skip


class _CatalogueLog:
    """When the catalogues are worth a record: something else than a turnover changed, or enough readings passed."""

    def __init__(self) -> None:
        self._said: set[tuple[str, ...]] = set()
        self._left = 0

    def is_due(self, catalogues: Iterable[MarketCatalogue]) -> bool:
        """Whether to write them now."""
        say: set[tuple[str, ...]] = {
            (of.venue, of.market, row.symbol, row.pair, row.status, str(row.delisting_ms), _steady(row.reason))
            for of in catalogues
            for row in of.instruments
        }
        self._left -= 1
        if say == self._said and self._left > 0:
            return False
        self._said, self._left = say, CATALOGUE_EVERY
        return True


def _steady(reason: str) -> str:
    """A reason without the rank and turnover that every reading changes."""
    return reason if "by turnover" not in reason else ""


def _tell_change(before: PairListing | None, now: PairListing) -> None:
    if before is None:
        log.info("pair joins", pair=now.pair, legs=[f"{leg.leg} {leg.symbol}" for leg in now.legs])
        if now.quarantined:
            log.warning("pair quarantined", pair=now.pair, reason=now.quarantined)
        return
    if before.quarantined != now.quarantined:
        log.warning("quarantine changed", pair=now.pair, reason=now.quarantined)
    was = {leg.leg: leg for leg in before.legs}
    for leg in now.legs:
        old = was.pop(leg.leg, None)
        if old is None or old.symbol != leg.symbol:
            log.info("leg joins", pair=now.pair, leg=leg.leg, symbol=leg.symbol)
        elif (old.status, old.multiplier, old.tick_size, old.lot_size) != (
            leg.status, leg.multiplier, leg.tick_size, leg.lot_size
        ):  # fmt: skip
            log.warning(
                "instrument changed", pair=now.pair, leg=leg.leg, symbol=leg.symbol, status=leg.status,
                multiplier=str(leg.multiplier), tick_size=str(leg.tick_size), lot_size=str(leg.lot_size),
            )  # fmt: skip
    for leg in was.values():
        log.warning("leg left", pair=now.pair, leg=leg.leg, symbol=leg.symbol)


def symbols_of(listings: Iterable[PairListing], venue: str, market: str) -> dict[str, str]:
    """Symbol to pair of one market, in the order of the listings."""
    return {
        leg.symbol: listing.pair
        for listing in listings
        for leg in listing.legs
        if (leg.venue, leg.market) == (venue, market)
    }


def traded_symbols(listings: Iterable[PairListing], venue: str, market: str) -> dict[str, str]:
    """Symbol to pair of one market, where trading has not come to its end; a halted one may be traded again."""
    return {
        leg.symbol: listing.pair
        for listing in listings
        for leg in listing.legs
        if (leg.venue, leg.market) == (venue, market) and leg.status not in ENDED_STATUSES
    }
