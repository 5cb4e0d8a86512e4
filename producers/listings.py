"""The venues' lists to our pairs: grouping and selection, and what there is to say of every instrument; pure.

An instrument belongs to the pair of its asset in single units (`1000PEPEUSDT` to `PEPE-USDT`). A pair is worth having
when it has a leg on both venues.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches

from mts_stream.domain.instrument import Instrument
from mts_stream.errors import SettingsError
from mts_stream.exchanges.catalogue import CatalogueRow, MarketCatalogue, utc
from mts_stream.exchanges.naming import asset_and_multiplier
from mts_stream.exchanges.venue import InstrumentFigures, ListedInstrument
from producers.quarantine import MarketKey

NEAREST_NAMES = 3

SymbolKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class MarketList:
    """What one market of a venue lists, with the figures that move; `read_ns` is when they were read."""

    instruments: Sequence[ListedInstrument]
    figures: Mapping[str, InstrumentFigures]
    read_ns: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pair that could be watched: its legs, each venue's turnover of a day in USD, and which of its legs will end."""

    pair: str
    legs: tuple[Instrument, ...]
    turnover_usd: Mapping[str, Decimal]
    ending: frozenset[SymbolKey] = frozenset()

    @property
    def smaller_turnover_usd(self) -> Decimal:
        """What the quieter of the two venues turns over; 0 for a pair of one venue."""
        return min(self.turnover_usd.values()) if len(self.turnover_usd) > 1 else Decimal(0)

    @property
    def fit_legs(self) -> tuple[Instrument, ...]:
        """The legs that trade and have no end announced."""
        return tuple(leg for leg in self.legs if leg.status == "trading" and symbol_key(leg) not in self.ending)

    @property
    def is_fit(self) -> bool:
        """Whether both venues have a fit leg."""
        return len({leg.venue for leg in self.fit_legs}) > 1


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All pairs of both venues, and why an instrument or a pair is none of them."""

    candidates: Mapping[str, Candidate]
    excluded: Mapping[SymbolKey, str]


def symbol_key(leg: Instrument) -> SymbolKey:
    """Venue, market and symbol."""
    return leg.venue, leg.market, leg.symbol


@dataclass(slots=True)
class _Gathering:
    legs: dict[MarketKey, tuple[Instrument, Decimal]] = field(default_factory=dict)
    ending: set[SymbolKey] = field(default_factory=set)


class _Grouping:
    """Instruments under their pairs; of two in one market the one that is watched stays, else the busier one."""

    def __init__(self, watched: Collection[SymbolKey]) -> None:
        self._watched = watched
        self.gathered: dict[str, _Gathering] = defaultdict(_Gathering)
        self.excluded: dict[SymbolKey, str] = {}

    def add(self, key: MarketKey, listed: ListedInstrument, figures: InstrumentFigures) -> None:
        """Take one instrument of a market's list."""
        symbol = listed.venue, listed.market, listed.symbol
        asset, multiplier = asset_and_multiplier(listed.venue, listed.base)
        if listed.unfit:
            self.excluded[symbol] = listed.unfit
            return
        try:
            instrument = _instrument(listed, figures, multiplier)
            turnover = _turnover(figures)
        except (InvalidOperation, ValueError) as error:
            self.excluded[symbol] = f"unreadable numbers: {error}"
            return
        gathering = self.gathered[f"{asset}-{listed.quote}"]
        standing = gathering.legs.get(key)
        if standing is not None:
            if self._prefer(*standing) >= self._prefer(instrument, turnover):
                self.excluded[symbol] = f"{standing[0].symbol} trades the same pair with a higher turnover"
                return
            self.excluded[symbol_key(standing[0])] = f"{listed.symbol} trades the same pair with a higher turnover"
        gathering.legs[key] = instrument, turnover
        if listed.delisting_ms is not None:
            gathering.ending.add(symbol)

    def _prefer(self, instrument: Instrument, turnover: Decimal) -> tuple[bool, Decimal]:
        return symbol_key(instrument) in self._watched, turnover


def build_catalogue(lists: Mapping[MarketKey, MarketList], watched: Collection[SymbolKey] = ()) -> Catalogue:
    """Group every fit instrument under its pair."""
    grouping = _Grouping(watched)
    for key, market_list in lists.items():
        for listed in market_list.instruments:
            grouping.add(key, listed, market_list.figures.get(listed.symbol, InstrumentFigures()))
    candidates = {pair: _candidate(pair, gathering) for pair, gathering in sorted(grouping.gathered.items())}
    return Catalogue(candidates, grouping.excluded)


def _instrument(listed: ListedInstrument, figures: InstrumentFigures, multiplier: int) -> Instrument:
    lot = Decimal(listed.lot_size)
    if not lot > 0:
        raise ValueError(f"lot size {listed.lot_size}")
    hours = figures.funding_interval_hours or listed.funding_interval_hours
    return Instrument(
        listed.venue, listed.market, listed.symbol, Decimal(multiplier), Decimal(listed.tick_size), lot,
        Decimal(listed.min_notional), hours if listed.market == "perp" else None, listed.fee_group, listed.status,
        Decimal(figures.reference_price or "0"),
    )  # fmt: skip


def _turnover(figures: InstrumentFigures) -> Decimal:
    return Decimal(figures.turnover_usd or "0")


def _candidate(pair: str, gathering: _Gathering) -> Candidate:
    legs = tuple(instrument for _, (instrument, _) in sorted(gathering.legs.items()))
    turnover: dict[str, Decimal] = defaultdict(Decimal)
    for (venue, _), (_, usd) in gathering.legs.items():
        turnover[venue] += usd
    return Candidate(pair, legs, dict(turnover), frozenset(gathering.ending))


class Selection:
    """Which pairs to watch: those that PAIRS names, or the PAIRS_TOP largest by the quieter venue's turnover."""

    def __init__(self, pairs: str, top: int) -> None:
        self.named = tuple(dict.fromkeys(name.strip().upper() for name in pairs.split(",") if name.strip()))
        self.top = top

    def check(self, catalogue: Catalogue, named_by: str = "PAIRS") -> None:
        """Raises SettingsError for a named pair that no venue lists, naming the nearest ones and who named it."""
        for name in self.named:
            if name not in catalogue.candidates:
                near = get_close_matches(name, catalogue.candidates, n=NEAREST_NAMES, cutoff=0.5)
                hint = f"; the nearest are {', '.join(near)}" if near else ""
                raise SettingsError(f"{named_by}: no venue lists {name!r}{hint}")

    def pairs(self, catalogue: Catalogue) -> list[str]:
        """The pairs, the highest turnover first."""
        if self.named:
            return [c.pair for c in ranked(c for c in catalogue.candidates.values() if c.pair in self.named)]
        return [candidate.pair for candidate in self.ranked_fit(catalogue)[: self.top]]

    def ranked_fit(self, catalogue: Catalogue) -> list[Candidate]:
        """The pairs that trade on both venues, and did so in the last day; the highest turnover first."""
        return ranked(c for c in catalogue.candidates.values() if c.is_fit and c.smaller_turnover_usd > 0)

    def joining_legs(self, candidate: Candidate) -> tuple[Instrument, ...]:
        """The legs that may join now: a pair that was named takes those too that are halted or will end."""
        if self.named:
            return tuple(leg for leg in candidate.legs if leg.status in ("trading", "halted"))
        return candidate.fit_legs


def ranked(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The highest turnover first; by name where it is the same."""
    return sorted(candidates, key=lambda candidate: (-candidate.smaller_turnover_usd, candidate.pair))


class Explanation:
    """What there is to say of every instrument, given what is watched and which pairs are quarantined."""

    def __init__(
        self, catalogue: Catalogue, selection: Selection, watched: Collection[SymbolKey],
        quarantined: Mapping[str, str | None],
    ) -> None:  # fmt: skip
        self._catalogue, self._selection = catalogue, selection
        self._watched, self._quarantined = watched, quarantined
        fit = selection.ranked_fit(catalogue)
        self._ranks = {candidate.pair: rank for rank, candidate in enumerate(fit, start=1)}

    def market(self, key: MarketKey, market_list: MarketList) -> MarketCatalogue:
        """All instruments of a market, the highest turnover first."""
        rows = [self._row(listed, market_list.figures.get(listed.symbol)) for listed in market_list.instruments]
        rows.sort(key=lambda row: (-Decimal(row.turnover_usd), row.symbol))
        return MarketCatalogue(*key, rows)

    def _row(self, listed: ListedInstrument, figures: InstrumentFigures | None) -> CatalogueRow:
        key = listed.venue, listed.market, listed.symbol
        asset, multiplier = asset_and_multiplier(listed.venue, listed.base)
        pair = f"{asset}-{listed.quote}"
        is_taken = key in self._watched
        return CatalogueRow(
            listed.symbol, listed.base, listed.quote, listed.status, pair, multiplier, listed.fee_group,
            _shown_turnover(figures), listed.delisting_ms, is_taken,
            (self._quarantined.get(pair) or "") if is_taken else self._why_not(key, listed, pair),
        )  # fmt: skip

    def _why_not(self, key: SymbolKey, listed: ListedInstrument, pair: str) -> str:
        if key in self._catalogue.excluded:
            return self._catalogue.excluded[key]
        if listed.status != "trading":
            return f"status {listed.status}"
        if listed.delisting_ms is not None:
            return f"to be delisted at {utc(listed.delisting_ms)}"
        if self._selection.named:
            return "PAIRS does not name it" if pair not in self._selection.named else "joins at the next reading"
        return self._why_not_top(self._catalogue.candidates[pair])

    def _why_not_top(self, candidate: Candidate) -> str:
        if len({leg.venue for leg in candidate.legs}) < 2:
            return f"{candidate.legs[0].venue} alone lists {candidate.pair}"
        if not candidate.is_fit:
            return f"{candidate.pair} does not trade on both venues now"
        if candidate.pair not in self._ranks:
            return f"{candidate.pair} has no turnover on one venue"
        rank, turnover = self._ranks[candidate.pair], candidate.smaller_turnover_usd
        return f"{rank}. by turnover, {turnover:,.0f} USD a day on its quieter venue; PAIRS_TOP={self._selection.top}"


def _shown_turnover(figures: InstrumentFigures | None) -> str:
    try:
        return f"{_turnover(figures or InstrumentFigures()):.0f}"
    except (InvalidOperation, ValueError):
        return "0"
