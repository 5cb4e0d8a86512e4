"""The job that every engine does: raw records of two venues in, what an arbitrage of one pair looks like out.

    value --> envelope, frame --> sequence --> book --> touch --> walk --> opened | updated | closed
                                                   `--> a row per direction and second

It is the heart of the product without its periphery (no status, funding, ledger, checkpoints), small enough to be
written again in plain Java (kafka_streams/), and made of the product's own parts: decoding, SequencedBook, Walker. What
comes out is exact, so that all engines have one digest.

Rules: perps of binance and bybit, directions `binance>bybit` and `bybit>binance`. A record moves the pair's time to the
highest `received_ns`; a second that has ended gives a row of each direction that was evaluated in it. After a depth
record that is no old news each direction whose books are both valid is evaluated: no signal where the first step does
not add (DESIGN section 5, on the round trip's basis), else walked up to MAX_NOTIONAL_USD; a signal where the net, both
ways' fees and slippage paid, is at least MIN_NET_USD. `opened` at the first, `updated` where the net has changed by a
tenth of the last sent, `closed` where the signal ends.
"""

from collections.abc import Callable
from decimal import Decimal

from mts_stream.domain.exact import FRACTION_SCALE, SHARE_SCALE, plain, scaled_decimal
from mts_stream.domain.instrument import Instrument
from mts_stream.domain.kernel import Kernel
from mts_stream.domain.market_data import DepthUpdate
from mts_stream.domain.pricing import Costs, Measures, PairScale, UnitFactors
from mts_stream.domain.sequencing import STILL, VALID, SequencedBook
from mts_stream.domain.windows import EDGE_DECIMALS
from mts_stream.wire.reading import record_reader

LEGS = ("binance", "bybit")
TAKER_BPS = (Decimal("5"), Decimal("5.5"))
SLIPPAGE_BPS = Decimal("1")
LOT = Decimal("0.001")
MAX_NOTIONAL_USD = 50_000
MIN_NET_USD = 1
NS_PER_S = 10**9

Result = tuple[bytes, bytes]
"""Key, which is the pair, and value."""


def _leg(venue: str) -> Instrument:
    return Instrument(
        venue=venue, market="perp", symbol="", multiplier=Decimal(1), tick_size=Decimal("0.1"), lot_size=LOT,
        min_notional=Decimal(0), funding_interval_hours=8, fee_group="default", status="trading",
        reference_price=Decimal(1),
    )  # fmt: skip


SCALE_OF_PAIR = PairScale.of([_leg(venue) for venue in LEGS])
MONEY = SCALE_OF_PAIR.money_scale * FRACTION_SCALE
MONEY_DECIMALS = len(str(MONEY)) - 1
FEES = tuple(scaled_decimal(bps, 12) for bps in TAKER_BPS)
SLIPPAGE = scaled_decimal(SLIPPAGE_BPS, 12)


class Direction:
    """Buy on one leg, sell on the other."""

    def __init__(self, pair: str, kernel: Kernel, buy: int, sell: int, books: "tuple[SequencedBook, SequencedBook]"):
        self.name = f"{LEGS[buy]}>{LEGS[sell]}"
        self.head = b'{"pair":"%b","direction":"%b",' % (pair.encode(), self.name.encode())
        self.key = pair.encode()
        factors = UnitFactors.of(_leg(LEGS[buy]), SCALE_OF_PAIR)
        most = MAX_NOTIONAL_USD * SCALE_OF_PAIR.money_scale
        measures = Measures(factors, factors, factors.lot, SHARE_SCALE, most, (most, most, most))
        self.costs = Costs(FEES[buy], FEES[sell], SLIPPAGE, 2)
        self.walker = kernel.new_walker(books[buy].book, books[sell].book, measures)
        self.sent: int | None = None  # the net last sent, while open
        self.evaluations = self.signals = 0
        self.high = -(10**18)

    def evaluate(self, out: list[Result]) -> None:
        """Both books are valid."""
        touch = self.walker.touch(self.costs)
        self.evaluations += 1
        if touch.edge.bps > self.high:
            self.high = touch.edge.bps
        if touch.adds:
            net = self._net()
            if net >= MIN_NET_USD * MONEY:
                self._on_signal(net, out)
                return
        self.end(out)

    def _net(self) -> int:
        """After the fees of both ways, in 1/MONEY USD."""
        walked, costs = self.walker.walk(self.costs), self.costs
        bought, sold = walked.buy_notional, walked.sell_notional
        fees = bought * costs.buy_fee + sold * costs.sell_fee
        return (sold - bought) * FRACTION_SCALE - 2 * fees - costs.slippage * (bought + sold)

    def _on_signal(self, net: int, out: list[Result]) -> None:
        self.signals += 1
        last = self.sent
        if last is not None and abs(net - last) * 10 < last:
            return
        self.sent = net
        event = b"opened" if last is None else b"updated"
        text = plain(net, MONEY_DECIMALS).encode()
        out.append((self.key, b'%b"event":"%b","net_usd":"%b"}' % (self.head, event, text)))

    def end(self, out: list[Result]) -> None:
        """There is no signal."""
        if self.sent is not None:
            self.sent = None
            out.append((self.key, self.head + b'"event":"closed"}'))

    def close_second(self, end_ns: int, out: list[Result]) -> None:
        """The row of the second that ends then."""
        if self.evaluations:
            row = b'"second_ns":%d,"evaluations":%d,"signals":%d,"high_bps":"%b"}' % (
                end_ns - NS_PER_S, self.evaluations, self.signals, plain(self.high, EDGE_DECIMALS).encode()
            )  # fmt: skip
            out.append((self.key, self.head + row))
            self.evaluations = self.signals = 0
            self.high = -(10**18)


class Pair:
    """Two books and two directions."""

    def __init__(self, name: str, kernel: Kernel) -> None:
        first, second = (SequencedBook(venue, "perp", kernel.new_book()) for venue in LEGS)
        books = (first, second)
        self.books = dict(zip(LEGS, books, strict=True))
        self._first, self._second = first, second
        self.directions = tuple(Direction(name, kernel, buy, 1 - buy, books) for buy in (0, 1))
        self.time_ns = self.end_ns = 0

    def on_depth(self, update: DepthUpdate, out: list[Result]) -> None:
        """One record."""
        origin = update.origin
        if origin.received_ns > self.time_ns:
            self.time_ns = origin.received_ns
            if self.time_ns >= self.end_ns:
                for direction in self.directions:
                    direction.close_second(self.end_ns, out)
                self.end_ns = (self.time_ns // NS_PER_S + 1) * NS_PER_S
        book = self.books[origin.venue]
        change = book.book.read(update.bids, update.asks, origin)
        if book.on_depth(update, change, self.time_ns, 0) in STILL:
            return
        if self._first.state == VALID and self._second.state == VALID:
            for direction in self.directions:
                direction.evaluate(out)
        else:
            for direction in self.directions:
                direction.end(out)


class Job:
    """The state of all pairs; one record at a time, or a batch."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._read = record_reader(kernel.name)
        self._pairs: dict[str, Pair] = {}

    def on_record(self, value: bytes) -> list[Result]:
        """What comes of a record."""
        out: list[Result] = []
        self._on_record(value, out)
        return out

    def on_records(self, values: "list[bytes]") -> list[Result]:
        """What comes of some records, in their order."""
        out: list[Result] = []
        on_record = self._on_record
        for value in values:
            on_record(value, out)
        return out

    def _on_record(self, value: bytes, out: list[Result]) -> None:
        update = self._read(value)
        assert isinstance(update, DepthUpdate), "the log holds depth alone"
        name = update.origin.pair
        pair = self._pairs.get(name)
        if pair is None:
            pair = self._pairs[name] = Pair(name, self._kernel)
        pair.on_depth(update, out)


OnRecord = Callable[[bytes], list[Result]]
