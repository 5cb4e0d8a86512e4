"""Random raw logs on a coarse grid, so that the corners of the design meet: equal prices, odd lots, old generations."""

import json
from random import Random
from typing import Any

T0 = 1_700_000_000 * 10**9
PAIR = "AAA-USDT"
LEGS = (("binance", "perp"), ("binance", "spot"), ("bybit", "perp"), ("bybit", "spot"))
CONNS = ("a",) * 40 + ("b",)


class RandomLog:
    """Writes one random log of one pair; what the venues' sequences are is known, what is sent is not always that."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.now = T0
        self.seq = 0
        self.ids = dict.fromkeys(LEGS, 100)
        self.gens = dict.fromkeys(LEGS, 1)
        self.multipliers = {leg: rng.choice(["1", "1", "10", "1000"]) for leg in LEGS}
        self.biases = {leg: rng.choice([-9, -4, 0, 0, 4, 9]) for leg in LEGS}
        self.lots = {leg: rng.choice(["0.001", "0.002", "0.0015", "1"]) for leg in LEGS}

    def lines(self, count: int) -> list[dict[str, Any]]:
        """A registry record, a keyframe per leg, then anything."""
        out = [self.registry("trading", None)]
        out += [self.keyframe(leg) for leg in LEGS]
        out += [self.funding(leg) for leg in LEGS if leg[1] == "perp"]
        kinds = [self.diff] * 12 + [self.keyframe] * 3 + [self.funding] * 2 + [self.status, self.status, self.audit]
        for _ in range(count):
            self.now += self.rng.choice([0, 10**6, 40 * 10**6, 300 * 10**6, 1100 * 10**6, 4000 * 10**6, -(10**9)])
            if self.rng.random() < 0.03:
                quarantined = self.rng.choice([None] * 7 + ["apart"])
                out.append(self.registry(self.rng.choice(["trading", "trading", "halted"]), quarantined))
            else:
                out.append(self.rng.choice(kinds)(self.rng.choice(LEGS)))
        return out

    def record(self, leg: tuple[str, str], channel: str, kind: str, frame: Any, **more: Any) -> dict[str, Any]:
        self.seq += 1
        gen = self.gens[leg]
        if self.rng.random() < 0.01:
            gen = self.gens[leg] = gen + 1
        elif self.rng.random() < 0.02:
            gen -= 1
        return {
            "v": 1, "venue": leg[0], "market": leg[1], "channel": channel, "kind": kind, "symbol": "AAAUSDT",
            "pair": PAIR, "received_ns": self.now, "conn": self.rng.choice(CONNS) if kind != "status" else "a",
            "gen": gen, "seq": self.seq, "frame": frame, **more,
        }  # fmt: skip

    def registry(self, status: str, quarantined: str | None) -> dict[str, Any]:
        rng = self.rng
        legs = [
            {
                "venue": v, "market": m, "symbol": "AAAUSDT", "multiplier": self.multipliers[v, m], "tick_size": "0.1",
                "lot_size": self.lots[v, m], "min_notional": rng.choice(["0", "5", "60"]),
                "funding_interval_hours": rng.choice([1, 8]), "fee_group": "default", "reference_price": "100",
                "status": status if rng.random() < 0.3 else "trading",
            }
            for v, m in LEGS if rng.random() < 0.97
        ]  # fmt: skip
        frame = {"pair": PAIR, "quarantined": quarantined, "legs": legs}
        record = self.record(LEGS[0], "instruments", "registry", frame)
        return record | {"venue": "mts", "market": "all", "symbol": PAIR, "conn": "registry"}

    def level(self, leg: tuple[str, str], low: int, high: int, *, zero: float) -> list[str]:
        """A price of `low` to `high` tenths and a size, in the venue's own units."""
        multiplier = int(self.multipliers[leg])
        size = 0 if self.rng.random() < zero else self.rng.choice([1, 15, 300, 2000, 45000])
        price = self.rng.randint(low, high) * multiplier
        text = f"{price // 10}.{price % 10}" + self.rng.choice(["", "0"])
        if self.rng.random() < 0.001:
            text = self.rng.choice(["NaN", "-1", "0", "x"])
        return [text, f"{size / 1000 / multiplier:.7f}"]

    def sides(self, leg: tuple[str, str], least: int, *, zero: float) -> tuple[list[list[str]], list[list[str]]]:
        """Changes around the leg's own middle; now and then they cross."""
        rng = self.rng
        mid = 1000 + self.biases[leg] + rng.choice([-3, 0, 0, 3])
        touch = mid - 3 if rng.random() < 0.03 else mid + 1
        bids = [self.level(leg, mid - 12, mid - 1, zero=zero) for _ in range(rng.randint(least, 4))]
        asks = [self.level(leg, touch, mid + 12, zero=zero) for _ in range(rng.randint(least, 4))]
        return bids, asks

    def keyframe(self, leg: tuple[str, str]) -> dict[str, Any]:
        bids, asks = self.sides(leg, self.rng.choice([0, 2, 2, 2, 3]), zero=0.1)
        self.ids[leg] += self.rng.choice([0, 0, 1, 5])
        if leg[0] == "binance":
            multiplier = int(self.multipliers[leg])
            known = self.rng.choice([None, None, [str(98 * multiplier), str(101 * multiplier)]])
            frame = {"lastUpdateId": self.ids[leg], "bids": bids, "asks": asks}
            return self.record(leg, "depth", "keyframe", frame, range=known)
        kind = self.rng.choice(["keyframe", "frame"])
        return self.record(leg, "depth", kind, self.bybit("snapshot", leg, bids, asks))

    def bybit(self, kind: str, leg: tuple[str, str], bids: Any, asks: Any) -> dict[str, Any]:
        data = {"s": "AAAUSDT", "b": bids, "a": asks, "u": self.ids[leg], "seq": 1}
        return {"topic": "orderbook.50.AAAUSDT", "type": kind, "ts": self.stamp(), "data": data, "cts": 1}

    def stamp(self) -> int:
        return self.now // 10**6 - self.rng.choice([0, 50, 500, -100])

    def diff(self, leg: tuple[str, str]) -> dict[str, Any]:
        bids, asks = self.sides(leg, 0, zero=0.3)
        before = self.ids[leg] + self.rng.choice([0] * 30 + [1, -1, 7])
        if leg[0] == "bybit":
            self.ids[leg] = before + 1 if self.rng.random() < 0.97 else 1  # 1: the service began anew
            return self.record(leg, "depth", "frame", self.bybit("delta", leg, bids, asks))
        last = self.ids[leg] = before + self.rng.randint(1, 3)
        frame = {
            "e": "depthUpdate",
            "E": self.stamp(),
            "s": "AAAUSDT",
            "U": before + 1,
            "u": last,
            "b": bids,
            "a": asks,
        }
        return self.record(leg, "depth", "frame", frame | ({"pu": before} if leg[1] == "perp" else {}))

    def funding(self, leg: tuple[str, str]) -> dict[str, Any]:
        rng = self.rng
        rate = rng.choice(["0.0001", "-0.003", "0.0015", "0"])
        at = self.now // 10**6 + rng.choice([-5_000_000, 60_000, 3_600_000, 40_000_000])
        if leg[0] == "binance":
            frame: dict[str, Any] = {"e": "markPriceUpdate", "r": rng.choice([rate, ""]), "T": rng.choice([at, 0])}
            return self.record(leg, "funding", "frame", frame)
        data = {"fundingRate": rate, "nextFundingTime": str(at), "fundingIntervalHour": rng.choice(["1", "4", "8"])}
        data = {k: v for k, v in data.items() if rng.random() < 0.8}
        return self.record(
            leg, "funding", "frame", {"topic": "tickers.AAAUSDT", "type": "delta", "data": data, "ts": 1}
        )

    def status(self, leg: tuple[str, str]) -> dict[str, Any]:
        state = self.rng.choice(["alive", "alive", "alive", "up", "down"])
        record = self.record(leg, "depth", "status", {"state": state, "reason": ""})
        return record | {"symbol": "", "pair": ""}

    def audit(self, leg: tuple[str, str]) -> dict[str, Any]:
        return self.record(leg, "depth", "snapshot", {"lastUpdateId": 1, "bids": [], "asks": []})


def as_lines(records: list[dict[str, Any]]) -> list[bytes]:
    """The log as a capture's lines."""
    return [json.dumps(record).encode() for record in records]
