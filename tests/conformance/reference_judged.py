"""The reference's second half: funding arbitrage and anomalies, which are judged at a window's end."""

import uuid
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

D = Decimal
S = 10**9


def text(x: Decimal) -> str:
    x = x.normalize()
    return "0" if x == 0 else f"{x:f}"


def places(x: Decimal, n: int) -> str:
    return text(x.quantize(D(1).scaleb(-n), ROUND_HALF_EVEN))


def middle(values: list[Decimal]) -> Decimal:
    values = sorted(values)
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


class Judged:
    """What a pair of the reference judges besides arbitrage; it has legs, settings and times."""

    name: str
    set: dict[str, str]
    time: int
    end: Any
    quarantined: Any
    ends: Any
    fee: Any
    funded: Any
    quote: Any

    def __init__(self) -> None:
        self.judged: list[dict[str, Any]] = []
        self.paying: dict[str, dict[str, Any]] = {}
        self.means: dict[str, list[tuple[int, Decimal]]] = {}
        self.odd: dict[str, dict[str, Any]] = {}

    def judge_window(self, name: str, mean: Decimal | None) -> None:
        self.judge_mean(name, mean)
        if all(leg.info["market"] == "perp" for leg in self.ends(name)):
            self.judge_funding(name)

    def judge_mean(self, name: str, mean: Decimal | None) -> None:
        start, o = self.end // S - 1, self.odd.setdefault(name, {"run": 0, "open": None, "ended": None})
        span, least = int(self.set["ANOMALY_WINDOW_S"]), int(self.set["ANOMALY_MIN_WINDOWS"])
        if mean is None or self.quarantined is not None:
            o["run"] = 0
            if o["open"]:
                why = "quarantined" if self.quarantined is not None else "no_valid_book"
                self.tell_anomaly(name, "ended", o, why)
            return
        all_before = self.means.setdefault(name, [])
        before = [m for at, m in all_before if start - span <= at < start]
        all_before.append((start, mean))
        if len(before) < least:
            return
        median = middle(before)
        mad = middle([abs(m - median) for m in before])
        floor = max(mad, D(self.set["ANOMALY_FLOOR_BPS"]))
        raw = D("0.6745") * (mean - median)
        said = {"edge_bps": text(mean), "median_bps": places(median, 4), "mad_bps": places(mad, 4)}
        said["score"] = places(raw / floor, 4)
        o["run"] = o["run"] + 1 if abs(raw) >= D(self.set["ANOMALY_ENTER_SCORE"]) * floor else 0
        if o["open"]:
            o["open"] = said
            if abs(raw) < D(self.set["ANOMALY_LEAVE_SCORE"]) * floor:
                self.tell_anomaly(name, "ended", o, "reverted")
            return
        cooled = o["ended"] is None or start - o["ended"] >= int(self.set["ANOMALY_COOLDOWN_S"])
        if not o["open"] and cooled and o["run"] >= int(self.set["ANOMALY_MIN_DURATION_S"]):
            o["open"] = said
            self.tell_anomaly(name, "started", o, None)

    def tell_anomaly(self, name: str, phase: str, o: dict[str, Any], why: str | None) -> None:
        start = self.end - S
        key = str(uuid.uuid5(uuid.NAMESPACE_OID, f"mts|anomaly|{self.name}|{name}|{start}"))
        head = {"id": key, "type": "spread.anomaly", "pair": self.name, "direction": name, "event_time_ns": self.end}
        self.judged.append({**head, "window_start_ns": start, "phase": phase, **o["open"], "reason": why})
        if phase == "ended":
            o["open"], o["ended"] = None, start // S

    def judge_funding(self, name: str) -> None:
        buy, sell = self.ends(name)
        t, why = self.end, None
        if self.quarantined is not None:
            why = "quarantined"
        elif buy.shown() != "valid" or sell.shown() != "valid":
            why = "book_" + next(leg.shown() for leg in (buy, sell) if leg.shown() != "valid")
        elif not (self.funded(buy, t) and self.funded(sell, t)):
            why = "funding_unknown"
        else:
            ask, bid = buy.ladder("asks")[0][0], sell.ladder("bids")[0][0]
            horizon = int(D(self.set["FUNDING_HORIZON_HOURS"]) * 3600 * S)
            paid = [(at, sell.rate) for at in sell.settlements(t, horizon)]
            paid += [(at, -buy.rate) for at in buy.settlements(t, horizon)]
            carry = sum((rate for _, rate in paid), D(0))
            slip = D(self.set["SLIPPAGE_BPS"]) / 10000
            cost = 2 * (self.fee(buy, t) + self.fee(sell, t)) + 4 * slip - (bid - ask) / ask
            covered = (at for at, _ in sorted(paid) if sum(rate for x, rate in paid if x <= at) >= cost)
            if (carry - cost) * 10000 < D(self.set["FUNDING_MIN_NET_BPS"]):
                why = "below_threshold"
        if why is None:
            terms = {"carry_bps": places(carry * 10000, 4), "cost_bps": places(cost * 10000, 4)}
            terms |= {"net_bps": places((carry - cost) * 10000, 4), "break_even_ns": next(covered, None)}
            prices = ((buy, "buy", ask, ask), (sell, "sell", bid, bid))
            terms["legs"] = [self.quote(leg, side, touch, walked, t) for leg, side, touch, walked in prices]
            if name in self.paying:
                self.paying[name]["terms"] = terms
                return
            key = str(uuid.uuid5(uuid.NAMESPACE_OID, f"mts|funding|{self.name}|{name}|{t}"))
            self.paying[name] = {"id": key, "at": t, "terms": terms}
            self.tell_funding(name, "opened", 0, self.paying[name])
        elif name in self.paying:
            o = self.paying.pop(name)
            self.tell_funding(name, "closed", 1, o)
            self.judged[-1] |= {"reason": why, "duration_ns": t - o["at"]}

    def tell_funding(self, name: str, what: str, n: int, o: dict[str, Any]) -> None:
        head = {"id": f"{o['id']}-{n}", "type": f"funding.{what}", "opportunity_id": o["id"], "event": n}
        head |= {"pair": self.name, "direction": name, "event_time_ns": self.end}
        self.judged.append({**head, **o["terms"]})

    def watch_funding(self, leg: Any, where: str) -> None:
        if leg.info["market"] != "perp":
            return
        rates, o = leg.rates, leg.odd
        before = {"previous_rate": rates[-1] if rates else None, "previous_interval_hours": leg.hours_seen}
        hours = leg.interval() // 3600 // S or None
        found: list[tuple[str, dict[str, str]]] = []
        if leg.rate is not None and (not rates or leg.rate != rates[-1]):
            last, floor = rates[-int(self.set["FUNDING_ANOMALY_CHANGES"]) :], D(self.set["ANOMALY_FLOOR_BPS"]) / 10000
            if len(last) == int(self.set["FUNDING_ANOMALY_CHANGES"]):
                median = middle(last)
                mad = middle([abs(r - median) for r in last])
                raw, base = D("0.6745") * (leg.rate - median), max(mad, floor)
                limit = D(self.set["ANOMALY_LEAVE_SCORE" if o["odd"] else "ANOMALY_ENTER_SCORE"])
                beyond = abs(raw) >= limit * base
                if beyond and not o["odd"]:
                    said = {"median_bps": places(median * 10000, 4), "mad_bps": places(mad * 10000, 4)}
                    found.append(("rate", {**said, "score": places(raw / base, 4)}))
                o["odd"] = beyond
            rates.append(leg.rate)
            if abs(leg.rate) >= floor:
                sign = leg.rate > 0
                if o["sign"] is not None and o["sign"] != sign:
                    found.append(("sign_flip", {}))
                o["sign"] = sign
        if hours is not None:
            if leg.hours_seen not in (None, hours):
                found.append(("interval", {}))
            leg.hours_seen = hours
        for kind, said in found if self.quarantined is None else []:
            key = str(uuid.uuid5(uuid.NAMESPACE_OID, f"mts|funding-anomaly|{self.name}|{leg.name}|{kind}|{where}"))
            previous = before["previous_rate"]
            self.judged.append({
                "id": key, "type": "funding.anomaly", "pair": self.name, "event_time_ns": self.time, "kind": kind,
                "venue": leg.info["venue"], "market": "perp", "symbol": leg.info["symbol"], "message_id": where,
                "rate": None if leg.rate is None else text(leg.rate), "interval_hours": hours,
                "previous_rate": None if previous is None else text(previous),
                "previous_interval_hours": before["previous_interval_hours"],
                "median_bps": None, "mad_bps": None, "score": None, **said,
            })  # fmt: skip
