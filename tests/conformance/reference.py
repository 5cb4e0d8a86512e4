"""The design's sections 3, 4, 5 and 8 written down plainly in Decimal, once more: the engine is held against this.

It shares no code with the engine, keeps everything in strings and Decimals, walks books by sorting them, and judges
everything anew at every record. Slow on purpose.
"""

import json
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal, getcontext
from math import lcm
from typing import Any

from tests.conformance.reference_judged import Judged, places, text

getcontext().prec = 120
D = Decimal
S = 10**9

FEES = {("binance", "spot"): D(10), ("binance", "perp"): D(5), ("bybit", "spot"): D(10), ("bybit", "perp"): D("5.5")}
DEFAULTS = {
    "SLIPPAGE_BPS": "1", "MIN_NOTIONAL": "100", "MAX_NOTIONAL": "50000", "MAX_DEPTH_SHARE": "1", "HOLDING_HOURS": "8",
    "ARBITRAGE_MIN_PROFIT_USD": "10", "ARBITRAGE_MIN_PROFIT_BPS": "5", "MAX_EDGE_BPS": "1000", "NET_BASIS": "auto",
    "ROUTES": "perp>perp,spot>spot,spot>perp", "SAME_VENUE_ROUTES": "", "FUNDING_MAX_AGE_S": "900",
    "SILENT_AFTER_MS": "3000", "MAX_FEED_LAG_MS": "0", "FUNDING_HORIZON_HOURS": "24", "FUNDING_MIN_NET_BPS": "5",
    "ANOMALY_WINDOW_S": "900", "ANOMALY_MIN_WINDOWS": "120", "ANOMALY_ENTER_SCORE": "6", "ANOMALY_LEAVE_SCORE": "3",
    "ANOMALY_FLOOR_BPS": "0.1", "ANOMALY_MIN_DURATION_S": "3", "ANOMALY_COOLDOWN_S": "60",
    "FUNDING_ANOMALY_CHANGES": "30",
}  # fmt: skip


class DeadLetterError(Exception):
    """A dead letter."""


def number(s: Any) -> Decimal:
    try:
        x = D(s)
    except Exception:
        raise DeadLetterError from None
    if not x.is_finite():
        raise DeadLetterError
    return x


def parse(side: list[Any]) -> list[tuple[Decimal, Decimal]]:
    out = []
    for p, s in side:
        p, s = number(p), number(s)
        if p <= 0 or s < 0:
            raise DeadLetterError
        out.append((p, s))
    return out


class Leg:
    def __init__(self, info: dict[str, Any]) -> None:
        self.info, self.listed, self.name = info, True, f"{info['venue']}:{info['market']}"
        self.state, self.conn, self.gen, self.seq, self.first = "empty", None, 0, 0, False
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self.range: Any = None
        self.silent = self.late = False
        self.seen = 0
        self.last: Any = None  # received time and id of the last record applied
        self.rate: Any = None
        self.next: Any = None
        self.hours: Any = None
        self.funded: Any = None
        self.rates: list[Decimal] = []  # every change
        self.hours_seen: Any = None
        self.odd: dict[str, Any] = {"odd": False, "sign": None}

    def shown(self) -> str:
        if not self.listed or self.info["status"] != "trading":
            return "delisted"
        if self.state != "valid":
            return self.state
        return "silent" if self.silent else "late" if self.late else "valid"

    def ladder(self, side: str) -> list[tuple[Decimal, Decimal]]:
        m = D(self.info["multiplier"])
        book = self.asks if side == "asks" else self.bids
        return sorted(((p / m, s * m) for p, s in book.items()), reverse=side == "bids")

    def judge_book(self) -> None:
        if not self.bids or not self.asks:
            self.state = "exhausted"
        elif max(self.bids) >= min(self.asks):
            self.state = "crossed"

    def interval(self) -> int:
        return (self.hours or self.info["funding_interval_hours"] or 0) * 3600 * S

    def settlements(self, t: int, horizon: int) -> list[int]:
        at, step, out = self.next, self.interval(), []
        while at <= t:
            at += step
        while at <= t + horizon:
            out.append(at)
            at += step
        return out


class Pair(Judged):
    def __init__(self, name: str, settings: dict[str, str], clock: int) -> None:
        super().__init__()
        self.name, self.set, self.time = name, settings, clock
        self.legs: dict[str, Leg] = {}
        self.quarantined: Any = None
        self.open: dict[str, dict[str, Any]] = {}
        self.window: dict[str, dict[str, Any]] = {}
        self.end: Any = None
        self.messages: list[dict[str, Any]] = []
        self.rows: list[dict[str, Any]] = []

    # --- time

    def move(self, t: int) -> None:
        self.time = max(self.time, t)
        if self.end is None:
            self.end = (self.time // S + 1) * S
        while self.end <= self.time:
            if not any(w["edge"] is not None or w["n"] for w in self.window.values()):
                for name in sorted(self.window):
                    self.judge_window(name, None)
                self.end = (self.time // S + 1) * S
                for w in self.window.values():
                    self.fresh(w, self.end - S)
                break
            means = {name: self.close(name) for name in sorted(self.window)}
            for name in sorted(self.window):
                self.judge_window(name, means[name])
            self.end += S

    def fresh(self, w: dict[str, Any], start: int) -> None:
        e = w["edge"]
        w.update(seen=[] if e is None else [e], since=start, weighted=D(0), valid=0, n=0, outcomes={})

    def carry(self, w: dict[str, Any], t: int) -> None:
        if w["edge"] is not None:
            w["weighted"] += w["edge"] * (t - w["since"])
            w["valid"] += t - w["since"]
        w["since"] = t

    def close(self, name: str) -> Decimal | None:
        w, mean = self.window[name], None
        self.carry(w, self.end)
        if w["valid"] or w["n"]:
            e = [places(x * 10000, 4) for x in w["seen"]]
            row: dict[str, Any] = {"pair": self.name, "direction": name, "window_start_ns": self.end - S}
            row["edge_open_bps"] = e[0] if e else None
            row["edge_high_bps"] = places(max(w["seen"]) * 10000, 4) if e else None
            row["edge_low_bps"] = places(min(w["seen"]) * 10000, 4) if e else None
            row["edge_close_bps"] = e[-1] if e else None
            row["edge_mean_bps"] = mean = places(w["weighted"] / w["valid"] * 10000, 4) if w["valid"] else None
            for label, usd in (("1k", 1000), ("10k", 10000), ("50k", 50000)):
                row[f"net_bps_{label}"] = self.window_net(name, D(usd))
            row.update(valid_ms=w["valid"] // 10**6, evaluations=w["n"], outcomes=w["outcomes"])
            self.rows.append(row)
        self.fresh(w, self.end)
        return None if mean is None else D(mean)

    # --- economics

    def fee(self, leg: Leg, at: int | None = None) -> Decimal:
        fees = [f for f in self.set.get("FEES", []) if (f[0], f[1]) == (leg.info["venue"], leg.info["market"])]  # type: ignore[misc]
        today = datetime.fromtimestamp((self.time if at is None else at) // S, UTC).date()
        for group in (leg.info["fee_group"], "default"):
            now = [f for f in fees if f[2] == group and date.fromisoformat(f[4]) <= today]
            if now:
                return D(max(now, key=lambda f: f[4])[3]) / 10000
        return FEES[leg.info["venue"], leg.info["market"]] / 10000

    def counted(self, leg: Leg, side: str) -> list[list[Decimal]]:
        """A leg's levels as far as they may be counted on."""
        share, lot = D(self.set["MAX_DEPTH_SHARE"]), D(leg.info["lot_size"]) * D(leg.info["multiplier"])
        levels = leg.ladder(side)
        if share < 1:
            levels = [(p, s * share // lot * lot) for p, s in levels]
        return [[p, s] for p, s in levels if s > 0]

    def walk(self, buy: Leg, sell: Leg, limit: Decimal, k: int | None) -> tuple[list[list[Decimal]], bool]:
        asks, bids = self.counted(buy, "asks"), self.counted(sell, "bids")
        s = D(self.set["SLIPPAGE_BPS"]) / 10000
        lots = [D(leg.info["lot_size"]) * D(leg.info["multiplier"]) for leg in (buy, sell)]
        scale = 10 ** max(0, *(-int(x.normalize().as_tuple().exponent) for x in lots))
        lot = D(lcm(*(int(x * scale) for x in lots))) / scale
        fills: list[list[Decimal]] = []
        used, full = D(0), False
        while asks and bids:
            (ask, a), (bid, b) = asks[0], bids[0]
            if k is not None and not bid * (1 - k * self.fee(sell) - s) > ask * (1 + k * self.fee(buy) + s):
                break
            third = (limit - used) / ask // lot * lot
            q = min(a, b, third)
            fills.append([q, ask, bid])
            used += q * ask
            if third <= min(a, b):
                full = True
                break
            asks[0][1] -= q
            bids[0][1] -= q
            asks, bids = [x for x in asks if x[1] > 0], [x for x in bids if x[1] > 0]
        size = sum((f[0] for f in fills), D(0))
        cut = size - size // lot * lot
        for fill in reversed(fills):
            take = min(cut, fill[0])
            fill[0] -= take
            cut -= take
        return [f for f in fills if f[0]], full

    def window_net(self, name: str, limit: Decimal) -> str | None:
        buy, sell = self.ends(name)
        if buy.shown() != "valid" or sell.shown() != "valid":
            return None
        fills, full = self.walk(buy, sell, limit, None)
        if not full or not fills:
            return None
        bought, sold = sum(q * a for q, a, _ in fills), sum(q * b for q, _, b in fills)
        cost = bought * self.fee(buy) + sold * self.fee(sell) + D(self.set["SLIPPAGE_BPS"]) / 10000 * (bought + sold)
        return places((sold - bought - cost) / bought * 10000, 4)

    def ends(self, name: str) -> tuple[Leg, Leg]:
        buy, sell = name.split(">")
        return self.legs[buy], self.legs[sell]

    def judge(self, name: str) -> tuple[str, Any, Any]:
        buy, sell = self.ends(name)
        edge = None
        if buy.shown() == sell.shown() == "valid":
            ask, bid = buy.ladder("asks")[0][0], sell.ladder("bids")[0][0]
            edge = (bid - ask) / ask
        if self.quarantined is not None:
            return "quarantined", edge, None
        for leg in (buy, sell):
            if leg.shown() != "valid":
                return "book_" + leg.shown(), None, None
        perp = "perp" in (buy.info["market"], sell.info["market"])
        basis = self.set["NET_BASIS"]
        basis = ("round_trip" if perp else "entry") if basis == "auto" else basis
        k, s = (2 if basis == "round_trip" else 1), D(self.set["SLIPPAGE_BPS"]) / 10000
        if not bid * (1 - k * self.fee(sell) - s) > ask * (1 + k * self.fee(buy) + s):
            return "no_edge", edge, None
        if edge * 10000 > D(self.set["MAX_EDGE_BPS"]):
            return "implausible", edge, None
        fills, _ = self.walk(buy, sell, D(self.set["MAX_NOTIONAL"]), k)
        size = sum((q for q, _, _ in fills), D(0))
        bought, sold = sum((q * a for q, a, _ in fills), D(0)), sum((q * b for q, _, b in fills), D(0))
        minima = [D(leg.info["min_notional"]) for leg in (buy, sell)]
        if not size or bought < max(D(self.set["MIN_NOTIONAL"]), minima[0]) or sold < minima[1]:
            return "min_notional", edge, None
        horizon, sums = int(D(self.set["HOLDING_HOURS"]) * 3600 * S), []
        for leg in (buy, sell):
            if leg.info["market"] == "spot":
                sums.append(D(0))
                continue
            if not self.funded(leg, self.time):
                return "funding_unknown", edge, None
            sums.append(leg.rate * len(leg.settlements(self.time, horizon)))
        fees, slip = bought * self.fee(buy) + sold * self.fee(sell), s * (bought + sold)
        carry = bought * (sums[1] - sums[0])
        entry = sold - bought - fees - slip + carry
        net = entry if basis == "entry" else entry - fees
        bps = net / bought * 10000
        if net < D(self.set["ARBITRAGE_MIN_PROFIT_USD"]) or bps < D(self.set["ARBITRAGE_MIN_PROFIT_BPS"]):
            return "below_threshold", edge, None
        walked = ((buy, "buy", ask, bought / size), (sell, "sell", bid, sold / size))
        legs = [self.quote(leg, side, touch, price, self.time) for leg, side, touch, price in walked]
        return "signal", edge, (net, {
            "legs": legs, "size": text(size), "buy_notional": text(bought), "sell_notional": text(sold),
            "gross_usd": text(sold - bought), "fees_usd": text(fees), "slippage_usd": text(slip),
            "carry_usd": text(carry), "net_entry_usd": text(entry), "net_round_trip_usd": text(entry - fees),
            "net_usd": text(net), "net_bps": places(bps, 4), "edge_bps": places(edge * 10000, 4),
        })  # fmt: skip

    def funded(self, leg: Leg, t: int) -> bool:
        known = leg.rate is not None and leg.next is not None and leg.interval()
        return bool(known) and t - leg.funded <= int(self.set["FUNDING_MAX_AGE_S"]) * S

    def quote(self, leg: Leg, side: str, touch: Decimal, price: Decimal, t: int) -> dict[str, Any]:
        spot = leg.info["market"] == "spot"
        first = None if spot else leg.settlements(t, max(0, leg.next - t) + leg.interval())[0]
        return {
            "venue": leg.info["venue"], "market": leg.info["market"], "symbol": leg.info["symbol"], "side": side,
            "price": text(touch), "average_price": places(price, 12),
            "fee_bps": text(self.fee(leg, t) * 10000), "funding_rate": None if spot else text(leg.rate),
            "next_funding_ns": first, "book_age_ms": (t - leg.last[0]) // 10**6, "sequence": leg.seq,
            "message_id": leg.last[1], "generation": leg.gen,
        }  # fmt: skip

    def evaluate(self, name: str, record: str) -> None:
        outcome, edge, found = self.judge(name)
        w, t = self.window[name], self.time
        self.carry(w, t)
        w["edge"], w["n"] = edge, w["n"] + 1
        w["outcomes"][outcome] = w["outcomes"].get(outcome, 0) + 1
        if edge is not None:
            w["seen"].append(edge)
        o = self.open.get(name)
        head = {"pair": self.name, "direction": name, "event_time_ns": t, "schema_version": 1}
        if outcome == "signal" and o is None:
            key = str(uuid.uuid5(uuid.NAMESPACE_OID, f"mts|{self.name}|{name}|{record}"))
            net, terms = found
            self.open[name] = {"id": key, "n": 0, "at": t, "net": net, "sent": t, "peak": (net, terms), "terms": terms}
            self.tell(head, "opened", key, 0, terms)
        elif outcome == "signal" and o is not None:
            net, o["terms"] = found
            if net > o["peak"][0]:
                o["peak"] = found
            if abs(net - o["net"]) >= abs(o["net"]) / 10 or t - o["sent"] >= S:
                o.update(net=net, sent=t, n=o["n"] + 1)
                self.tell(head, "updated", o["id"], o["n"], o["terms"])
        elif o is not None:
            del self.open[name]
            lived = t - o["at"]
            self.tell(head, "closed", o["id"], o["n"] + 1, o["terms"])
            self.messages[-1] |= {
                "reason": outcome,
                "duration_ns": lived,
                "updates": o["n"],
                "peak_net_usd": o["peak"][1]["net_usd"],
                "size_at_peak": o["peak"][1]["size"],
                "survived_ms": [h for h in (10, 50, 100, 250, 1000) if lived > h * 10**6],
            }

    def tell(self, head: dict[str, Any], what: str, key: str, n: int, terms: dict[str, Any]) -> None:
        known = {"type": f"arbitrage.{what}", "opportunity_id": key, "event": n, "id": f"{key}-{n}"}
        self.messages.append({**head, **known, **terms})

    # --- records

    def on(self, e: dict[str, Any]) -> None:
        f, kind, channel = e["frame"], e["kind"], e["channel"]
        where = f"{e['venue']}/{e['market']}/{e['symbol']}/{e['conn']}/{e['gen']}/{e['seq']}"
        leg = self.legs.get(f"{e['venue']}:{e['market']}")
        if kind not in ("status", "registry") and (leg is None or leg.info["symbol"] != e["symbol"]):
            raise DeadLetterError
        depth = channel == "depth" and kind in ("frame", "keyframe")
        bids = asks = []
        if depth:
            d = f["data"] if e["venue"] == "bybit" else f
            bids, asks = parse(d.get("bids", d.get("b"))), parse(d.get("asks", d.get("a")))
        before = {n: x.shown() for n, x in self.legs.items()}
        self.move(e["received_ns"])
        ours = (e["venue"], e["market"], e["conn"])
        for x in self.legs.values():
            if x.conn == ours and x.gen == e["gen"]:
                x.seen = self.time
            x.silent = x.state == "valid" and self.time - x.seen > int(self.set["SILENT_AFTER_MS"]) * 10**6
        touched = set()
        if depth and leg is not None and self.depth(leg, e, f, bids, asks, ours, where):
            touched.add(leg.name)
        elif kind == "status":
            for x in self.legs.values():
                if x.conn == ours and e["gen"] > x.gen:
                    x.gen = e["gen"]
                    x.state = "reset" if x.state == "valid" else x.state
                if x.conn == ours and e["gen"] == x.gen and f["state"] == "down" and x.state == "valid":
                    x.state = "disconnected"
        elif channel == "funding" and kind in ("frame", "keyframe") and leg is not None:
            self.funding(leg, e, f)
            self.watch_funding(leg, where)
        elif kind == "registry":
            self.registry(f)
            for x in self.legs.values():
                self.watch_funding(x, where)
        touched |= {n for n, x in self.legs.items() if n in before and before[n] != x.shown()}
        for name in sorted(self.window):
            if set(name.split(">")) & touched:
                self.evaluate(name, where)

    def depth(self, leg: Leg, e: Any, f: Any, bids: Any, asks: Any, ours: Any, where: str) -> bool:
        binance = e["venue"] == "binance"
        replaces = e["kind"] == "keyframe" or (not binance and f["type"] == "snapshot")
        if leg.conn == ours and e["gen"] < leg.gen:
            return False
        u = (f["lastUpdateId"] if e["kind"] == "keyframe" else f["u"]) if binance else f["data"]["u"]
        stamp = None if e["kind"] == "keyframe" else (f["E"] if binance else f["ts"]) * 10**6
        new = ({p: s for p, s in bids if s}, {p: s for p, s in asks if s})
        if replaces:
            same = leg.conn == ours and leg.gen == e["gen"]
            agrees = same and leg.state == "valid" and leg.seq == u and new == (leg.bids, leg.asks)
            leg.range = [D(x) for x in e["range"]] if e.get("range") else None
            if e["kind"] == "keyframe" and agrees:
                return False
            leg.bids, leg.asks, leg.seq, leg.conn, leg.gen = *new, u, ours, e["gen"]
            leg.state, leg.first, leg.seen, leg.silent = "valid", True, self.time, False
            leg.late = leg.late and same
        else:
            if leg.state == "empty":
                return True
            if leg.conn != ours or e["gen"] > leg.gen:
                leg.gen = e["gen"] if leg.conn == ours else leg.gen
                leg.state = "reset" if leg.state == "valid" else leg.state
            if leg.state != "valid":
                return True
            if u <= leg.seq:
                return False
            if binance and e["market"] == "spot":
                follows = f["U"] <= leg.seq + 1
            elif binance:
                follows = f["pu"] == leg.seq or (leg.first and f["pu"] <= leg.seq <= u)
            else:
                follows = u == leg.seq + 1
            if not follows:
                leg.state = "gap"
                return True
            for side, changes in ((leg.bids, bids), (leg.asks, asks)):
                for p, s in changes:
                    if leg.range and (p < leg.range[0] if side is leg.bids else p > leg.range[1]):
                        continue
                    side.pop(p, None)
                    if s:
                        side[p] = s
            leg.seq, leg.first = u, False
        leg.last = (e["received_ns"], where)
        lag = int(self.set["MAX_FEED_LAG_MS"]) * 10**6
        if lag and stamp is not None:
            leg.late = self.time - stamp > lag
        leg.judge_book()
        return True

    def funding(self, leg: Leg, e: Any, f: Any) -> None:
        d = f["data"] if e["venue"] == "bybit" else f
        names = ("fundingRate", "nextFundingTime", "fundingIntervalHour") if e["venue"] == "bybit" else ("r", "T", "")
        rate, at, hours = (d.get(name) for name in names)
        leg.rate = D(rate) if rate else leg.rate
        leg.next = int(at) * 10**6 if at else leg.next
        leg.hours = int(hours) if hours else leg.hours
        leg.funded = e["received_ns"]

    def registry(self, f: Any) -> None:
        self.quarantined = f["quarantined"]
        listed = {f"{x['venue']}:{x['market']}": x for x in f["legs"]}
        for name, leg in self.legs.items():
            leg.listed, leg.info = name in listed, listed.get(name, leg.info)
        for name, info in listed.items():
            self.legs.setdefault(name, Leg(info))
        for buy in self.legs.values():
            for sell in self.legs.values():
                same = buy.info["venue"] == sell.info["venue"]
                routes = self.set["SAME_VENUE_ROUTES" if same else "ROUTES"].split(",")
                name = f"{buy.name}>{sell.name}"
                if buy is not sell and f"{buy.info['market']}>{sell.info['market']}" in routes:
                    w: dict[str, Any] = {"edge": None}
                    self.fresh(w, self.time)
                    self.window.setdefault(name, w)


def run(lines: list[dict[str, Any]], **settings: Any) -> tuple[list[Any], list[Any], list[Any], int]:
    """Arbitrage messages, window rows, the other signals, and the number of dead letters of a capture."""
    pairs: dict[str, Pair] = {}
    clock = dead = 0
    for e in lines:
        try:
            if e["kind"] == "status":
                clock = max(clock, e["received_ns"])
                for pair in pairs.values():
                    pair.on(json.loads(json.dumps(e)))
                continue
            if e["pair"] not in pairs:
                if e["kind"] != "registry":
                    raise DeadLetterError
                pairs[e["pair"]] = Pair(e["pair"], {**DEFAULTS, **settings}, clock)
            pairs[e["pair"]].on(e)
        except DeadLetterError:
            dead += 1
    messages = [m for pair in pairs.values() for m in pair.messages]
    rows = [r for pair in pairs.values() for r in pair.rows]
    return messages, rows, [j for pair in pairs.values() for j in pair.judged], dead
