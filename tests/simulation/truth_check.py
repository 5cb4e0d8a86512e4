"""Holds a book against the venue's own: all levels within its known range, at its sequence.

venue's epochs   0: ... 41 42 43 | 1: 1 2 3 ...      a sequence begins anew with the venue's service
a client         0: ... 41 42      -> 1: 2 3         may be behind, never goes back
"""

from collections.abc import Mapping

from mts_stream.domain.exact import DECIMALS, scaled
from mts_stream.domain.order_book import OrderBook
from producers.books import ProducerBook
from producers.simulator.simulator import Simulator
from producers.simulator.universe import BookKey

Sizes = Mapping[int, int]
"""Scaled sizes by scaled price."""

SHOWN_LEVELS = 3
_scaled: dict[str, int] = {}


class TruthCheck:
    """The checks of one client's copy of one book; `wrong` says in words where it was not the venue's."""

    def __init__(self, simulator: Simulator, key: BookKey, who: str) -> None:
        self.epoch = 0
        self.compared = 0
        self.wrong: list[str] = []
        self._simulator, self._key, self._who = simulator, key, who
        listing = simulator.market.legs[key].listing
        self._price_unit = 10 ** (DECIMALS - listing.price_digits)
        self._size_unit = 10 ** (DECIMALS - listing.size_digits)

    def engine(self, sequence: int, book: OrderBook) -> None:
        """The engine's book says that it is valid at this sequence."""
        self._compare(sequence, book.bids.sizes, book.asks.sizes, book.lowest_bid, book.highest_ask)

    def producer(self, book: ProducerBook) -> None:
        """The producer's book says that it is in step."""
        bids, asks = ({_number(price): _number(size) for price, size in side.items()} for side in book.levels())
        known = book.known_range or (None, None)
        low, high = (None if bound is None else _number(bound) for bound in known)
        self._compare(book.last_id, _from(bids, low), _up_to(asks, high), low, high)

    def _compare(self, sequence: int, bids: Sizes, asks: Sizes, low: int | None, high: int | None) -> None:
        self.compared += 1
        differences = []
        for epoch in self._simulator.epochs_of(self._key, sequence):
            if epoch < self.epoch:
                break
            true_bids, true_asks = self._true(sequence, epoch)
            difference = _difference(bids, _from(true_bids, low)) or _difference(asks, _up_to(true_asks, high))
            if not difference:
                self.epoch = epoch
                return
            differences.append(f"epoch {epoch}: {difference}")
        where = f"{self._who} {'/'.join(self._key)} at {sequence}, last seen in epoch {self.epoch}"
        self.wrong.append(f"{where}: {'; '.join(differences) or 'the venue has no such book'}")

    def _true(self, sequence: int, epoch: int) -> tuple[Sizes, Sizes]:
        bids, asks = self._simulator.true_sides(self._key, sequence, epoch)
        price, size = self._price_unit, self._size_unit
        return {p * price: s * size for p, s in bids.items()}, {p * price: s * size for p, s in asks.items()}


def _from(sizes: Sizes, low: int | None) -> Sizes:
    return sizes if low is None else {price: size for price, size in sizes.items() if price >= low}


def _up_to(sizes: Sizes, high: int | None) -> Sizes:
    return sizes if high is None else {price: size for price, size in sizes.items() if price <= high}


def _difference(ours: Sizes, true: Sizes) -> str:
    if ours == true:
        return ""
    prices = sorted(price for price in ours.keys() | true.keys() if ours.get(price) != true.get(price))
    some = [f"{price} is {ours.get(price)}, truly {true.get(price)}" for price in prices[:SHOWN_LEVELS]]
    return f"{len(prices)} levels differ: {', '.join(some)}"


def _number(text: str) -> int:
    """Prices and sizes repeat, and there are few: what was read once is kept."""
    number = _scaled.get(text)
    if number is None:
        if len(_scaled) > 1_000_000:
            _scaled.clear()
        number = _scaled[text] = scaled(text)
    return number
