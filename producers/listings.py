"""The venues' lists to our pairs: grouping, quarantine, selection; pure.

An instrument belongs to the pair of its asset in single units (`1000PEPEUSDT` to `PEPE-USDT`). A pair is worth having
when it has a leg on both venues.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches

from mts_stream.domain.instrument import Instrument, PairListing
from mts_stream.errors import SettingsError
from mts_stream.exchanges.naming import asset_and_multiplier
from mts_stream.exchanges.venue import InstrumentFigures, ListedInstrument

REFERENCE_DIFFERENCE_MAX = Decimal("0.02")

MarketKey = tuple[str, str]
SymbolKey = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class MarketList:
    """What one market of a venue lists, with the figures that move."""

    instruments: Sequence[ListedInstrument]
    figures: Mapping[str, InstrumentFigures]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pair that could be watched: its listing and each venue's turnover of a day in USD."""

    listing: PairListing
    turnover_usd: Mapping[str, Decimal]

    @property
    def smaller_turnover_usd(self) -> Decimal:
        """What the quieter of the two venues turns over; 0 for a pair of one venue."""
        return min(self.turnover_usd.values()) if len(self.turnover_usd) > 1 else Decimal(0)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All pairs of both venues, and why an instrument or a pair is none of them."""

    candidates: Mapping[str, Candidate]
    excluded: Mapping[SymbolKey, str]


@dataclass(slots=True)
class _Gathering:
    legs: dict[MarketKey, tuple[Instrument, Decimal]] = field(default_factory=dict)


def build_catalogue(lists: Mapping[MarketKey, MarketList]) -> Catalogue:
    """Group every fit instrument under its pair; of two in one market the one with the higher turnover stays."""
    gathered: dict[str, _Gathering] = defaultdict(_Gathering)
    excluded: dict[SymbolKey, str] = {}
    for key, market_list in lists.items():
        for listed in market_list.instruments:
            figures = market_list.figures.get(listed.symbol, InstrumentFigures())
            reason = listed.unfit or _gather(gathered, key, listed, figures, excluded)
            if reason:
                excluded[listed.venue, listed.market, listed.symbol] = reason
    candidates = {pair: _candidate(pair, gathering) for pair, gathering in sorted(gathered.items())}
    return Catalogue(candidates, excluded)


def _gather(
    gathered: dict[str, _Gathering], key: MarketKey, listed: ListedInstrument, figures: InstrumentFigures,
    excluded: dict[SymbolKey, str],
) -> str:  # fmt: skip
    asset, multiplier = asset_and_multiplier(listed.venue, listed.base)
    try:
        instrument = _instrument(listed, figures, multiplier)
        turnover = Decimal(figures.turnover_usd or "0")
    except (InvalidOperation, ValueError) as error:
        return f"unreadable numbers: {error}"
    legs = gathered[f"{asset}-{listed.quote}"].legs
    standing = legs.get(key)
    if standing is not None and standing[1] >= turnover:
        return f"{standing[0].symbol} trades the same pair with a higher turnover"
    if standing is not None:
        excluded[(*key, standing[0].symbol)] = f"{listed.symbol} trades the same pair with a higher turnover"
    legs[key] = instrument, turnover
    return ""


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


def _candidate(pair: str, gathering: _Gathering) -> Candidate:
    legs = tuple(instrument for _, (instrument, _) in sorted(gathering.legs.items()))
    turnover: dict[str, Decimal] = defaultdict(Decimal)
    for (venue, _), (_, usd) in gathering.legs.items():
        turnover[venue] += usd
    return Candidate(PairListing(pair, quarantine_reason(legs), legs), dict(turnover))


def quarantine_reason(legs: Iterable[Instrument]) -> str | None:
    """Why these legs cannot be the same thing: reference prices per unit that differ by more than 2 %."""
    prices = sorted((leg.reference_price / leg.multiplier, leg.leg) for leg in legs if leg.reference_price > 0)
    if len(prices) < 2 or prices[-1][0] / prices[0][0] - 1 <= REFERENCE_DIFFERENCE_MAX:
        return None
    return f"reference prices of {prices[0][1]} and {prices[-1][1]} differ by more than 2 %"


def select(catalogue: Catalogue, pairs: str, top: int) -> list[PairListing]:
    """The pairs to watch, the highest turnover first: those listed by PAIRS, or the top N of both venues.

    Raises SettingsError for a pair that no venue lists, naming the nearest ones.
    """
    named = [name.strip().upper() for name in pairs.split(",") if name.strip()]
    if named:
        chosen = [_named(catalogue, name) for name in dict.fromkeys(named)]
        return [c.listing for c in sorted(chosen, key=_rank)]
    fit = [fitted for c in catalogue.candidates.values() if (fitted := _trading(c)) is not None]
    return [c.listing for c in sorted(fit, key=_rank)[:top]]


def _named(catalogue: Catalogue, name: str) -> Candidate:
    candidate = catalogue.candidates.get(name)
    if candidate is None:
        near = get_close_matches(name, catalogue.candidates, n=3, cutoff=0.5)
        hint = f"; the nearest are {', '.join(near)}" if near else ""
        raise SettingsError(f"PAIRS: no venue lists {name!r}{hint}")
    return candidate


def _trading(candidate: Candidate) -> Candidate | None:
    """The candidate with the legs that trade, if both venues have one."""
    legs = tuple(leg for leg in candidate.listing.legs if leg.status == "trading")
    if len({leg.venue for leg in legs}) < 2:
        return None
    return Candidate(PairListing(candidate.listing.pair, quarantine_reason(legs), legs), candidate.turnover_usd)


def _rank(candidate: Candidate) -> tuple[Decimal, str]:
    return -candidate.smaller_turnover_usd, candidate.listing.pair


def narrowed(listing: PairListing, symbols: Iterable[SymbolKey]) -> PairListing:
    """The listing with these legs alone: what was selected at the start."""
    wanted = set(symbols)
    legs = tuple(leg for leg in listing.legs if (leg.venue, leg.market, leg.symbol) in wanted)
    return PairListing(listing.pair, quarantine_reason(legs), legs)
