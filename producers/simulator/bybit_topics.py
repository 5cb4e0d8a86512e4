"""Bybit's topics as pure objects: windows of the book with their own update ids, and tickers that send changes.

Facts: exchange notes 2.2 and 2.3. A window shows exactly its depth: a level that leaves it is sent with size 0, one
that comes back is sent anew, and `u` rises by one with each message of the topic.
"""

from producers.simulator.book import ASK, BID, Change
from producers.simulator.funding import next_funding_ms
from producers.simulator.history import BookEpochs, Levels, Sides
from producers.simulator.market import SimulatedLeg
from producers.simulator.settings import STEP_MS
from producers.simulator.text import LevelText
from producers.simulator.universe import SPOT

DEPTHS_MS = {1: STEP_MS, 50: STEP_MS, 200: 100, 1000: 200}
"""Depths that are served, and how often each is pushed (depth 1: 10 ms on the venue, a step here)."""

KEPT_DEPTH = 50
_REPEAT_MS = 3000
_TICKER_MS = {SPOT: 60, "perp": 100}


class OrderbookTopic:
    """`orderbook.<depth>.<symbol>`: a snapshot for each new subscriber, then deltas; depth 1 has snapshots only."""

    def __init__(self, leg: SimulatedLeg, depth: int, text: LevelText, first_u: int) -> None:
        self.name = f"orderbook.{depth}.{leg.listing.symbol}"
        self.leg, self.depth, self.u = leg, depth, first_u
        self._text = text
        self._seen_id = leg.book.last_id
        self._shown: Sides = self._window()
        self._steps = max(1, DEPTHS_MS[depth] // STEP_MS)
        self._sent_ns = 0

    def history(self, updates_max: int) -> BookEpochs:
        """An empty history that starts at what the window shows now."""
        return BookEpochs(self.u, *self.sides, updates_max)

    def is_due(self, index: int) -> bool:
        """Whether the topic pushes at this step."""
        return index % self._steps == 0

    def advance(self) -> list[Change]:
        """Show the book as it is now; what changed in the window, nothing if the book did not."""
        if self.leg.book.last_id == self._seen_id:
            return []
        self._seen_id = self.leg.book.last_id
        new = self._window()
        changes = [change for side in (BID, ASK) for change in _difference(side, self._shown[side], new[side])]
        self._shown = new
        self.u += 1 if changes else 0
        return changes

    def message(self, changes: list[Change], now_ns: int) -> bytes | None:
        """The frame that tells these changes; for depth 1 also the repetition after three quiet seconds."""
        if self.depth == 1:
            is_quiet = not changes and now_ns - self._sent_ns < _REPEAT_MS * 1_000_000
            return None if is_quiet else self.snapshot(now_ns)
        if not changes:
            return None
        bids = [(price, size) for side, price, size in changes if side == BID]
        asks = [(price, size) for side, price, size in changes if side == ASK]
        return self._frame("delta", bids, asks, now_ns)

    def snapshot(self, now_ns: int) -> bytes:
        """The whole window as a snapshot frame."""
        self._sent_ns = now_ns
        return self._frame("snapshot", list(self._shown[BID].items()), list(self._shown[ASK].items()), now_ns)

    def restart(self, now_ns: int, kind: str) -> bytes:
        """Begin again at `u` 1 with the book as it is now; the frame of this type that says so."""
        self.u, self._seen_id, self._shown, self._sent_ns = 1, self.leg.book.last_id, self._window(), now_ns
        return self._frame(kind, list(self._shown[BID].items()), list(self._shown[ASK].items()), now_ns)

    @property
    def sides(self) -> tuple[Levels, Levels]:
        """Bids and asks that the window shows, price and size."""
        return self._shown[BID].items(), self._shown[ASK].items()

    def levels(self, side: int, count: int) -> list[tuple[str, str]]:
        """The best levels that the window shows, as text."""
        shown = list(self._shown[side].items())[:count]
        return [(self._text.price(price), self._text.size(size)) for price, size in shown]

    @property
    def seq(self) -> int:
        """The cross sequence of what the window shows."""
        return self._seen_id

    def _frame(self, kind: str, bids: list[tuple[int, int]], asks: list[tuple[int, int]], now_ns: int) -> bytes:
        now_ms = now_ns // 1_000_000
        # Spot, and depth 1 of futures, write `ts` before `type`.
        head = f'"type":"{kind}","ts":{now_ms}'
        if self.depth == 1 or self.leg.listing.market == SPOT:
            head = f'"ts":{now_ms},"type":"{kind}"'
        levels = f'"b":{self._text.levels(bids)},"a":{self._text.levels(asks)}'
        data = f'{{"s":"{self.leg.listing.symbol}",{levels},"u":{self.u},"seq":{self.seq}}}'
        return f'{{"topic":"{self.name}",{head},"data":{data},"cts":{now_ms - 1}}}'.encode()

    def _window(self) -> Sides:
        book = self.leg.book
        return dict(book.bids.top(self.depth)), dict(book.asks.top(self.depth))


class TickerTopic:
    """`tickers.<symbol>`: linear sends a snapshot, then only the fields that changed; spot snapshots only."""

    def __init__(self, leg: SimulatedLeg, text: LevelText) -> None:
        self.name = f"tickers.{leg.listing.symbol}"
        self.leg, self._text = leg, text
        self._steps = max(1, _TICKER_MS[leg.listing.market] // STEP_MS)
        self._phase = sum(leg.listing.symbol.encode())
        self._sent: dict[str, str] = {}

    def is_due(self, index: int) -> bool:
        """Whether the topic looks for changes at this step."""
        return (index + self._phase) % self._steps == 0

    def message(self, now_ns: int) -> bytes | None:
        """What changed since the last message, None if nothing did."""
        if self.leg.listing.market == SPOT:
            return self._spot_message(now_ns)
        fields = ticker_fields(self.leg, self._text, now_ns)
        changed = {name: value for name, value in fields.items() if self._sent.get(name) != value}
        self._sent = fields
        return self._frame("delta", {"symbol": fields["symbol"]} | changed, now_ns) if changed else None

    def snapshot(self, now_ns: int) -> bytes:
        """All fields as of the last message."""
        if self.leg.listing.market == SPOT:
            return self._frame("snapshot", spot_ticker_fields(self.leg, self._text), now_ns)
        self._sent = self._sent or ticker_fields(self.leg, self._text, now_ns)
        return self._frame("snapshot", self._sent, now_ns)

    def _spot_message(self, now_ns: int) -> bytes | None:
        fields = spot_ticker_fields(self.leg, self._text)
        if fields == self._sent:
            return None
        self._sent = fields
        return self._frame("snapshot", fields, now_ns)

    def _frame(self, kind: str, fields: dict[str, str], now_ns: int) -> bytes:
        data = ",".join([f'"{name}":"{value}"' for name, value in fields.items()])
        ts, cs = now_ns // 1_000_000, self.leg.book.last_id
        if self.leg.listing.market == SPOT:
            return f'{{"topic":"{self.name}","ts":{ts},"type":"{kind}","cs":{cs},"data":{{{data}}}}}'.encode()
        return f'{{"topic":"{self.name}","type":"{kind}","data":{{{data}}},"cs":{cs},"ts":{ts}}}'.encode()


def ticker_fields(leg: SimulatedLeg, text: LevelText, now_ns: int) -> dict[str, str]:
    """The fields of a linear ticker, as texts; the interval is in whole hours here."""
    book, listing = leg.book, leg.listing
    (bid, bid_size), (ask, ask_size) = next(book.bids.top(1)), next(book.asks.top(1))
    mark = text.number(leg.mark_price)
    turnover = listing.level_notional_usd * 10_000
    return {
        "symbol": listing.symbol,
        "tickDirection": "PlusTick",
        "lastPrice": mark,
        "turnover24h": f"{turnover:.4f}",
        "volume24h": f"{turnover / listing.price:.4f}",
        "markPrice": mark,
        "indexPrice": text.number(leg.index_price),
        "openInterest": f"{turnover / listing.price:.2f}",
        "fundingIntervalHour": str(listing.funding_interval_hours),
        "fundingCap": "0.00375",
        "nextFundingTime": str(next_funding_ms(listing, now_ns // 1_000_000)),
        "fundingRate": f"{leg.funding_rate:.8f}",
        "bid1Price": text.price(bid),
        "bid1Size": text.size(bid_size),
        "ask1Price": text.price(ask),
        "ask1Size": text.size(ask_size),
    }


def spot_ticker_fields(leg: SimulatedLeg, text: LevelText) -> dict[str, str]:
    """The fields of a spot ticker, which has no bid and ask on the socket."""
    last = text.number(leg.index_price)
    turnover = leg.listing.level_notional_usd * 10_000
    return {
        "symbol": leg.listing.symbol,
        "lastPrice": last,
        "highPrice24h": last,
        "lowPrice24h": last,
        "prevPrice24h": last,
        "volume24h": f"{turnover / leg.listing.price:.4f}",
        "turnover24h": f"{turnover:.4f}",
        "price24hPcnt": "0",
        "usdIndexPrice": last,
    }


def _difference(side: int, old: dict[int, int], new: dict[int, int]) -> list[Change]:
    gone = [(side, price, 0) for price in old if price not in new]
    return gone + [(side, price, size) for price, size in new.items() if old.get(price) != size]
