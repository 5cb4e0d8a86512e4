"""The settings that decide a result: routes, fees, limits and gates (DESIGN section 5)."""

import hashlib
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Literal, NamedTuple

from mts_stream.domain.fees import FeeSchedule

NetBasis = Literal["auto", "entry", "round_trip"]


class Route(NamedTuple):
    """The markets of a direction: bought on one, sold on the other."""

    buy_market: str
    sell_market: str


LATER_SETTINGS = (  # their defaults may not change any more
    "max_depth_share",
    "anomaly_window_s",
    "anomaly_min_windows",
    "anomaly_enter_score",
    "anomaly_leave_score",
    "anomaly_floor_bps",
    "anomaly_min_duration_s",
    "anomaly_cooldown_s",
    "funding_anomaly_changes",
)
DEFAULT_ROUTES = (Route("perp", "perp"), Route("spot", "spot"), Route("spot", "perp"))


@dataclass(frozen=True)
class EconomicSettings:
    """Everything besides the log that decides a result; its `config_id` names it in each signal."""

    fees: FeeSchedule = field(default_factory=FeeSchedule.public)
    slippage_bps: Decimal = Decimal(1)
    min_notional: Decimal = Decimal(100)
    max_notional: Decimal = Decimal(50000)
    max_depth_share: Decimal = Decimal(1)
    holding_hours: Decimal = Decimal(8)
    min_profit_usd: Decimal = Decimal(10)
    min_profit_bps: Decimal = Decimal(5)
    max_edge_bps: Decimal = Decimal(1000)
    net_basis: NetBasis = "auto"
    routes: tuple[Route, ...] = DEFAULT_ROUTES
    same_venue_routes: tuple[Route, ...] = ()
    funding_max_age_s: int = 900
    funding_horizon_hours: Decimal = Decimal(24)
    funding_min_net_bps: Decimal = Decimal(5)
    signal_ttl_ms: int = 1500
    anomaly_window_s: int = 900
    anomaly_min_windows: int = 120
    anomaly_enter_score: Decimal = Decimal(6)
    anomaly_leave_score: Decimal = Decimal(3)
    anomaly_floor_bps: Decimal = Decimal("0.1")
    anomaly_min_duration_s: int = 3
    anomaly_cooldown_s: int = 60
    funding_anomaly_changes: int = 30
    silent_after_ms: int = 3000
    max_feed_lag_ms: int = 0

    @cached_property
    def config_id(self) -> str:
        """sha256 of the economic settings and the fee table, in hexadecimal.

        A setting of LATER_SETTINGS stands in it only where it is not its default, so that an upgrade that changes no
        result changes no name.
        """
        lines = [f"{name}={self._canonical(name)}" for name in sorted(self.__dataclass_fields__) if self._is_told(name)]
        lines += [
            f"fee={f.venue},{f.market},{f.fee_group},{f.taker_bps.normalize():f},{f.valid_from.isoformat()}"
            for f in self.fees.fees
        ]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def _is_told(self, name: str) -> bool:
        if name in LATER_SETTINGS:
            return bool(getattr(self, name) != self.__dataclass_fields__[name].default)
        return name != "fees"

    def _canonical(self, name: str) -> str:
        value = getattr(self, name)
        if isinstance(value, Decimal):
            return f"{value.normalize():f}"
        if isinstance(value, tuple):
            return ",".join(sorted({f"{route.buy_market}>{route.sell_market}" for route in value}))
        return str(value)
