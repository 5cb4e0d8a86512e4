"""When a perp's funding is not what it was: a rate beyond its own history, another sign, another interval.

A rate is held against the last FUNDING_ANOMALY_CHANGES rates of its leg, once there are so many, and joins them
afterwards. It is told once when its score reaches ANOMALY_ENTER_SCORE, and again only after it was below
ANOMALY_LEAVE_SCORE. A rate nearer to zero than ANOMALY_FLOOR_BPS has no sign, so that none flutters.
"""

from collections import deque
from typing import Any, Literal, NamedTuple
from uuid import NAMESPACE_OID, uuid5

from mts_stream.domain.baseline import Baseline, Deviation
from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.exact import BPS_DECIMALS, DECIMALS, plain, scaled, scaled_decimal
from mts_stream.domain.instrument import Instrument
from mts_stream.domain.messages import FundingAnomaly
from mts_stream.domain.signal_head import signal_head

Kind = Literal["rate", "sign_flip", "interval"]
_UNITS_PER_BPS = 10**14  # a rate is a multiple of 10^-18
_UNITS_PER_SETTING = 10**2  # a setting in bps of 10^-12


class Finding(NamedTuple):
    """What is odd about a leg's funding now; what does not belong to its kind is as it was."""

    kind: Kind
    rate: int | None
    previous_rate: int | None
    interval_hours: int | None
    previous_interval_hours: int | None
    deviation: Deviation | None = None


class FundingWatch:
    """Holds the funding of one leg against its own history; told each rate and interval in order."""

    __slots__ = ("_baseline", "_changes_max", "_enter", "_floor", "_hours", "_is_odd", "_leave", "_rates", "_sign")

    def __init__(self, settings: EconomicSettings) -> None:
        self._changes_max = settings.funding_anomaly_changes
        self._enter = scaled_decimal(settings.anomaly_enter_score, BPS_DECIMALS)
        self._leave = scaled_decimal(settings.anomaly_leave_score, BPS_DECIMALS)
        self._floor = scaled_decimal(settings.anomaly_floor_bps, BPS_DECIMALS) * _UNITS_PER_SETTING
        self._rates: deque[int] = deque()
        self._baseline = Baseline()
        self._is_odd = False  # since it was told, not below the leaving score
        self._sign = 0  # of the last rate that had one
        self._hours: int | None = None

    def on_funding(self, rate: int | None, interval_hours: int | None) -> list[Finding]:
        """The rate (10^-18) and interval in force now; what has not changed is no news."""
        previous, before = self._rates[-1] if self._rates else None, self._hours
        findings = []
        if rate is not None and rate != previous:
            findings = [
                Finding(kind, rate, previous, interval_hours, before, deviation)
                for kind, deviation in self._on_rate(rate)
            ]
        if interval_hours is not None:
            self._hours = interval_hours
            if before not in (None, interval_hours):
                findings.append(Finding("interval", rate, previous, interval_hours, before))
        return findings

    def _on_rate(self, rate: int) -> list[tuple[Kind, Deviation | None]]:
        found: list[tuple[Kind, Deviation | None]] = []
        if len(self._rates) == self._changes_max:
            deviation = self._baseline.deviation(rate, self._floor, _UNITS_PER_BPS)
            if self._becomes_odd(deviation):
                found.append(("rate", deviation))
            self._baseline.remove(self._rates.popleft())
        self._rates.append(rate)
        self._baseline.add(rate)
        if self._flips(rate):
            found.append(("sign_flip", None))
        return found

    def _becomes_odd(self, deviation: Deviation) -> bool:
        was_odd = self._is_odd
        self._is_odd = deviation.is_beyond(self._leave if was_odd else self._enter)
        return self._is_odd and not was_odd

    def _flips(self, rate: int) -> bool:
        if abs(rate) < self._floor:
            return False
        before, self._sign = self._sign, 1 if rate > 0 else -1
        return before == -self._sign

    def snapshot(self) -> list[Any]:
        """As JSON data."""
        return [[plain(rate, DECIMALS) for rate in self._rates], self._is_odd, self._sign, self._hours]

    def restore(self, data: list[Any]) -> None:
        """Take over a snapshot."""
        rates, self._is_odd, self._sign, self._hours = data
        self._rates = deque(scaled(rate) for rate in rates)
        self._baseline = Baseline(self._rates)


def funding_anomaly(
    settings: EconomicSettings, pair: str, instrument: Instrument, finding: Finding, message_id: str, at_ns: int
) -> FundingAnomaly:
    """The message about a finding, which the record of `message_id` showed."""
    identity = uuid5(NAMESPACE_OID, f"mts|funding-anomaly|{pair}|{instrument.leg}|{finding.kind}|{message_id}")
    deviation = finding.deviation
    return FundingAnomaly(
        **signal_head(settings, "funding.anomaly", str(identity), pair, at_ns),
        kind=finding.kind,
        venue=instrument.venue,
        market=instrument.market,
        symbol=instrument.symbol,
        message_id=message_id,
        rate=_text(finding.rate),
        previous_rate=_text(finding.previous_rate),
        interval_hours=finding.interval_hours,
        previous_interval_hours=finding.previous_interval_hours,
        median_bps=None if deviation is None else deviation.median_bps,
        mad_bps=None if deviation is None else deviation.mad_bps,
        score=None if deviation is None else deviation.score,
    )


def _text(rate: int | None) -> str | None:
    return None if rate is None else plain(rate, DECIMALS)
