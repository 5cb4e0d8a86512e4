"""The economic settings as integers on a pair's scale, so that gates compare exactly and fast."""

from dataclasses import dataclass

from mts_stream.domain.economics import EconomicSettings
from mts_stream.domain.exact import BPS_DECIMALS, BPS_SCALE, FRACTION_SCALE, SCALE, SHARE_SCALE, scaled_decimal
from mts_stream.domain.funding import NS_PER_HOUR
from mts_stream.domain.pricing import PairScale

WINDOW_NOTIONALS_USD = (1_000, 10_000, 50_000)


@dataclass(frozen=True, slots=True)
class Limits:
    """The settings as integers on a pair's scale."""

    min_notional: int
    max_notional: int
    window_notionals: tuple[int, ...]
    min_profit_usd: int  # on the scale of Amounts
    min_profit_bps: int  # 10^-12 bps
    max_edge_bps: int  # 10^-12 bps
    slippage: int
    holding_ns: int
    depth_share: int  # 10^-12
    funding_horizon_ns: int
    funding_min_net_bps: int  # 10^-12 bps
    net_unit: int  # what one USD is on the scale of Amounts

    @classmethod
    def of(cls, settings: EconomicSettings, scale: PairScale) -> "Limits":
        """The settings on the scale of a pair."""

        def bps(name: str) -> int:
            return scaled_decimal(getattr(settings, name), BPS_DECIMALS)

        def money(name: str) -> int:
            return scaled_decimal(getattr(settings, name), BPS_DECIMALS) * scale.money_scale // BPS_SCALE

        return cls(
            money("min_notional"),
            money("max_notional"),
            tuple(usd * scale.money_scale for usd in WINDOW_NOTIONALS_USD),
            money("min_profit_usd") * FRACTION_SCALE * SCALE,
            bps("min_profit_bps"),
            bps("max_edge_bps"),
            bps("slippage_bps"),
            int(settings.holding_hours * NS_PER_HOUR),
            int(settings.max_depth_share * SHARE_SCALE),
            int(settings.funding_horizon_hours * NS_PER_HOUR),
            bps("funding_min_net_bps"),
            scale.money_scale * FRACTION_SCALE * SCALE,
        )
