"""Random logs of the kind that producers write: what DESIGN section 3 promises of them holds.

Keyframes of every book, funding and registry come at least every 60 s; a connection that broke begins anew with
keyframes a few seconds later; a lost frame is followed by a keyframe.
"""

from random import Random
from typing import Any

from tests.conformance.random_log import PAIR, T0

LEGS = (("binance", "perp"), ("binance", "spot"), ("bybit", "perp"))
S = 10**9
REPEAT_NS = 55 * S
Record = dict[str, Any]


class Feed:
    """One leg's connection and book, as the producer that follows it knows them."""

    def __init__(self, leg: tuple[str, str], rng: Random, now: int) -> None:
        self.leg, self.rng = leg, rng
        self.gen, self.seq, self.last_id = 1, 0, 100
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.keyframe_at = self.funding_at = now
        self.back_at: int | None = None

    def record(self, now: int, channel: str, kind: str, frame: Any) -> Record:
        self.seq += 1
        venue, market = self.leg
        return {
            "v": 1, "venue": venue, "market": market, "channel": channel, "kind": kind, "symbol": "AAAUSDT",
            "pair": PAIR, "received_ns": now, "conn": f"{venue}-{market}", "gen": self.gen, "seq": self.seq,
            "frame": frame,
        }  # fmt: skip

    def status(self, now: int, state: str) -> Record:
        return self.record(now, "depth", "status", {"state": state, "reason": ""}) | {"symbol": "", "pair": ""}

    def step(self, now: int) -> list[Record]:
        """What this feed publishes now."""
        if self.back_at is not None:
            return self._return(now) if now >= self.back_at else []
        if now >= self.funding_at and self.leg[1] == "perp":
            self.funding_at = now + REPEAT_NS
            return [self.funding(now)]
        if now >= self.keyframe_at:
            return [self.keyframe(now)]
        chance = self.rng.random()
        if chance < 0.01:
            self.back_at = now + self.rng.randint(1, 4) * S
            return [self.status(now, "down")]
        if chance < 0.02:  # a frame is lost: the next one shows the gap, and a resync follows
            self.change(now)
            self.keyframe_at = now + S
        return [self.status(now, "alive")] if chance < 0.2 else [self.change(now)]

    def _return(self, now: int) -> list[Record]:
        self.back_at, self.gen = None, self.gen + 1
        return [self.status(now, "up"), self.keyframe(now)]

    def move(self) -> tuple[dict[int, int], dict[int, int]]:
        """New sizes by price in tenths, on the right side of the middle; the best level is always there."""
        middle = 1000 + self.rng.choice([-4, -1, 0, 1, 4])
        bids = {p: 0 for p in self.bids if p >= middle} | {middle - 1: self.rng.choice([5, 20])}
        asks = {p: 0 for p in self.asks if p <= middle} | {middle + 1: self.rng.choice([5, 20])}
        bids[middle - self.rng.randint(1, 6)] = self.rng.choice([1, 8])
        asks[middle + self.rng.randint(1, 6)] = self.rng.choice([1, 8])
        for book, changes in ((self.bids, bids), (self.asks, asks)):
            book.update(changes)
            for price in [p for p, size in book.items() if not size]:
                del book[price]
        return bids, asks

    def change(self, now: int) -> Record:
        bids, asks = (levels(side) for side in self.move())
        before, self.last_id = self.last_id, self.last_id + 1
        if self.leg[0] == "bybit":
            return self.record(now, "depth", "frame", self.bybit("delta", now, bids, asks))
        frame = {"e": "depthUpdate", "E": now // 10**6, "s": "AAAUSDT", "U": self.last_id, "u": self.last_id}
        frame |= {"b": bids, "a": asks} | ({"pu": before} if self.leg[1] == "perp" else {})
        return self.record(now, "depth", "frame", frame)

    def keyframe(self, now: int) -> Record:
        if not self.bids:
            self.move()
        self.keyframe_at = now + REPEAT_NS
        bids, asks = levels(self.bids), levels(self.asks)
        if self.leg[0] == "bybit":
            return self.record(now, "depth", "keyframe", self.bybit("snapshot", now, bids, asks))
        frame = {"lastUpdateId": self.last_id, "bids": bids, "asks": asks}
        return self.record(now, "depth", "keyframe", frame) | {"range": None}

    def bybit(self, kind: str, now: int, bids: list[list[str]], asks: list[list[str]]) -> Record:
        data = {"s": "AAAUSDT", "b": bids, "a": asks, "u": self.last_id, "seq": 1}
        return {"topic": "orderbook.50.AAAUSDT", "type": kind, "ts": now // 10**6, "data": data, "cts": 1}

    def funding(self, now: int) -> Record:
        rate, at = self.rng.choice(["0.0004", "-0.0006", "0.0001"]), now // 10**6 + 3_000_000
        if self.leg[0] == "binance":
            return self.record(now, "funding", "frame", {"e": "markPriceUpdate", "r": rate, "T": at})
        data = {"fundingRate": rate, "nextFundingTime": str(at), "fundingIntervalHour": "8"}
        frame = {"topic": "tickers.AAAUSDT", "type": "snapshot", "data": data, "ts": 1}
        return self.record(now, "funding", "keyframe", frame)


def levels(side: dict[int, int]) -> list[list[str]]:
    """Prices in tenths as levels."""
    return [[f"{price / 10:.1f}", str(size)] for price, size in sorted(side.items())]


def registry(now: int) -> Record:
    """The registry's word on the pair."""
    legs = [
        {
            "venue": v, "market": m, "symbol": "AAAUSDT", "multiplier": "1", "tick_size": "0.1", "lot_size": "0.01",
            "min_notional": "5", "funding_interval_hours": 8 if m == "perp" else None, "fee_group": "default",
            "status": "trading", "reference_price": "100",
        }
        for v, m in LEGS
    ]  # fmt: skip
    return {
        "v": 1, "venue": "mts", "market": "all", "channel": "instruments", "kind": "registry", "symbol": PAIR,
        "pair": PAIR, "received_ns": now, "conn": "registry", "gen": 1, "seq": now // S,
        "frame": {"pair": PAIR, "quarantined": None, "legs": legs},
    }  # fmt: skip


def steady_log(rng: Random, seconds: int) -> list[Record]:
    """A log of one pair on three legs."""
    feeds = [Feed(leg, rng, T0) for leg in LEGS]
    out: list[Record] = []
    now = registry_at = T0
    while now < T0 + seconds * S:
        if now >= registry_at:
            out.append(registry(now))
            registry_at = now + REPEAT_NS
        out += rng.choice(feeds).step(now)
        now += rng.randint(1, 250) * 10**6
    return out
