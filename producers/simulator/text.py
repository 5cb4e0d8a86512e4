"""Whole ticks and lots as the decimal strings that a venue prints."""

from collections.abc import Iterable

from producers.simulator.universe import Listing

_CACHED_PRICES_MAX = 20_000


class LevelText:
    """Prints the prices, sizes and levels of one listing; prices repeat, so they are kept."""

    def __init__(self, listing: Listing, zero: str | None = None) -> None:
        self._price_scale = 10**listing.price_digits
        self._price_digits = listing.price_digits
        self._price_tail = "0" * (listing.printed_price_digits - listing.price_digits)
        self._size_scale = 10**listing.size_digits
        self._size_digits = listing.size_digits
        missing = listing.printed_size_digits - listing.size_digits
        point = "." if listing.size_digits == 0 and missing else ""
        self._size_tail = point + "0" * missing
        self._zero = zero
        self._prices: dict[int, str] = {}

    def price(self, ticks: int) -> str:
        """A price in ticks as text."""
        text = self._prices.get(ticks)
        if text is None:
            if len(self._prices) >= _CACHED_PRICES_MAX:
                self._prices.clear()
            text = self._prices[ticks] = _decimal(ticks, self._price_scale, self._price_digits) + self._price_tail
        return text

    def size(self, lots: int) -> str:
        """A size in lots as text; Bybit writes a removed level as a bare `0`."""
        if lots == 0 and self._zero is not None:
            return self._zero
        return _decimal(lots, self._size_scale, self._size_digits) + self._size_tail

    def number(self, price: float) -> str:
        """Any price, rounded to the tick, as text."""
        return self.price(round(price * self._price_scale))

    def levels(self, levels: Iterable[tuple[int, int]]) -> str:
        """Levels as a JSON array of `["price","size"]`."""
        price, size = self.price, self.size
        return "[" + ",".join([f'["{price(ticks)}","{size(lots)}"]' for ticks, lots in levels]) + "]"


def _decimal(value: int, scale: int, digits: int) -> str:
    if digits == 0:
        return str(value)
    whole, rest = divmod(value, scale)
    return f"{whole}.{rest:0{digits}d}"
