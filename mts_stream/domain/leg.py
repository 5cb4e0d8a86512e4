"""One leg of a pair: its instrument, its book, its funding, and in what state the book shows itself."""

from typing import TYPE_CHECKING, Any

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.funding import LegFunding, Payments
from mts_stream.domain.funding_anomalies import Finding, FundingWatch
from mts_stream.domain.instrument import Instrument
from mts_stream.domain.kernel import Book
from mts_stream.domain.pricing import PairScale, UnitFactors
from mts_stream.domain.quality import BookMinute
from mts_stream.domain.sequencing import VALID, SequencedBook

if TYPE_CHECKING:
    from mts_stream.domain.direction import Direction

NS_PER_MS = 10**6
NS_PER_S = 10**9
NEVER_NS: int = 2**63
Look = str | tuple[int | None, int | None]  # a state, or best bid and ask


class Leg:
    """A leg `venue:market`; `state` is `valid` or the reason why nothing may be computed from its book."""

    __slots__ = (
        "_funding_age_max_ns", "_look", "_silent_after_ns", "_watch", "book", "directions", "factors", "funding",
        "instrument", "is_perp", "listed", "name", "quality", "repeats", "silent", "state", "walked",
    )  # fmt: skip

    def __init__(
        self, instrument: Instrument, scale: PairScale, settings: EconomicSettings, now_ns: int, book: Book
    ) -> None:
        self.name = instrument.leg
        self.book = SequencedBook(instrument.venue, instrument.market, book)
        self.funding = LegFunding()
        self._watch = FundingWatch(settings)
        self.silent = False
        self.listed = True
        self.repeats = 0  # depth events after which it looked as before
        self.walked = 0  # of its directions so many have an edge, so that the depth behind the touch decides
        self._look: Look | None = None
        self.directions: tuple[Direction, ...] = ()  # those of which it is a leg, in the order of their names
        self.list_as(instrument, scale)
        self.state = self._shown()
        self.quality = BookMinute(self.state, now_ns)
        self._silent_after_ns = settings.silent_after_ms * NS_PER_MS
        self._funding_age_max_ns = settings.funding_max_age_s * NS_PER_S

    def list_as(self, instrument: Instrument, scale: PairScale) -> None:
        """Take over the registry's newest word on this leg."""
        self.instrument = instrument
        self.is_perp = instrument.market == "perp"  # it pays funding
        self.factors = UnitFactors.of(instrument, scale)
        self.listed = True
        self.forget_look()

    @property
    def best_ask(self) -> int:
        """The best ask in units of the pair; only of a valid book."""
        ask = self.book.book.best_ask
        assert ask is not None, "a valid book has both sides"
        return ask * self.factors.price

    @property
    def best_bid(self) -> int:
        """The best bid in units of the pair; only of a valid book."""
        bid = self.book.book.best_bid
        assert bid is not None, "a valid book has both sides"
        return bid * self.factors.price

    def on_time(self, now_ns: int) -> None:
        """A connection falls silent, or has come back."""
        self.silent = now_ns - self.book.seen_ns > self._silent_after_ns

    @property
    def heard_until_ns(self) -> int:
        """Until when it will not be silent, if nothing comes; what is silent already will not be until heard of."""
        return NEVER_NS if self.silent else self.book.seen_ns + self._silent_after_ns

    def refresh(self) -> bool:
        """Bring `state` up to date; says whether it changed."""
        before, self.state = self.state, self._shown()
        return before != self.state

    def _shown(self) -> str:
        if not self.listed or self.instrument.status != "trading":
            return "delisted"
        if self.book.state != VALID:
            return self.book.state
        if self.silent:
            return "silent"
        return "late" if self.book.late else VALID

    def looks_as_before(self) -> bool:
        """Whether it shows the state, and if valid the touch, that it showed when it was last asked."""
        if self.state == VALID:
            book = self.book.book
            look: Look = (book.best_bid, book.best_ask)
        else:
            look = self.state
        if look == self._look:
            return True
        self._look = look
        return False

    def forget_look(self) -> None:
        """Something else than its book has changed, so that whatever it shows is new."""
        self._look = None

    def funding_known(self, now_ns: int) -> bool:
        """Whether the leg's carry can be computed; a spot leg's is 0."""
        listed = self.instrument.funding_interval_hours
        return not self.is_perp or self.funding.is_known(listed, now_ns, self._funding_age_max_ns)

    def rates_until(self, now_ns: int, horizon_ns: int) -> int:
        """The sum of funding rates (10^-18) over a holding time; only when funding is known."""
        if not self.is_perp:
            return 0
        return self.funding.rates_until(self.instrument.funding_interval_hours, now_ns, horizon_ns)

    def payments(self, now_ns: int, sign: int) -> Payments:
        """The settlements after event time, to a short (`sign` 1) or from a long (-1); only of a perp, known."""
        return self.funding.payments(self.instrument.funding_interval_hours, now_ns, sign)

    def watch_funding(self) -> list[Finding]:
        """What is odd about the funding now in force; asked after everything that may have changed it."""
        if not self.is_perp:
            return []
        listed = self.instrument.funding_interval_hours
        return self._watch.on_funding(self.funding.rate, self.funding.interval_in_force(listed))

    def next_funding_ns(self, now_ns: int) -> int | None:
        """The first settlement after event time; None for spot."""
        if not self.is_perp:
            return None
        return self.funding.first_settlement_ns(self.instrument.funding_interval_hours, now_ns)

    def snapshot(self) -> dict[str, Any]:
        """As JSON data; the instrument stands in the pair's listing."""
        return {
            "symbol": self.instrument.symbol,
            "book": self.book.snapshot(),
            "funding": self.funding.snapshot(),
            "funding_watch": self._watch.snapshot(),
            "silent": self.silent,
            "listed": self.listed,
            "quality": self.quality.snapshot(),
        }

    def restore(self, data: dict[str, Any]) -> None:
        """Take over a snapshot."""
        self.book.restore(data["book"])
        self.funding.restore(data["funding"])
        self._watch.restore(data["funding_watch"])
        self.silent, self.listed = data["silent"], data["listed"]
        self.state = self._shown()
        self.quality.restore(data["quality"])
