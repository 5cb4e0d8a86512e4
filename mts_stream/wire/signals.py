"""The messages of `mts.signals`, one model per `type` (DESIGN section 8): what readers may rely on.

The JSON Schema and the AsyncAPI document in `schemas/` are generated from these models. A change that takes something
away from readers needs a new `schema_version`; a test holds the models against what is checked in.
"""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from mts_stream.errors import BadRecordError

T = TypeVar("T")

SCHEMA_VERSION = 1
NS_MAX = 2**63 - 1

# A plain decimal: no exponent, no leading or trailing zeros, no minus before zero.
DIRECTION_PATTERN = r"^[a-z0-9]+:(perp|spot)>[a-z0-9]+:(perp|spot)$"
OPPORTUNITY_ID_PATTERN = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
CONFIG_ID_PATTERN = r"^[0-9a-f]{64}$"
DECIMAL_PATTERN = r"^(0|-?(0\.[0-9]*[1-9]|[1-9][0-9]*(\.[0-9]*[1-9])?))$"

DecimalString = Annotated[str, Field(pattern=DECIMAL_PATTERN)]
Ns = Annotated[int, Field(ge=0, le=NS_MAX)]
Count = Annotated[int, Field(ge=0, le=NS_MAX)]
Name = Annotated[str, Field(min_length=1)]
Market = Literal["perp", "spot"]
Direction = Annotated[str, Field(pattern=DIRECTION_PATTERN)]
OpportunityId = Annotated[str, Field(pattern=OPPORTUNITY_ID_PATTERN)]
ConfigId = Annotated[str, Field(pattern=CONFIG_ID_PATTERN)]


class WireModel(BaseModel):
    """A message value: exactly these fields, of exactly these JSON types."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Leg(WireModel):
    venue: Name
    market: Market
    symbol: Name
    price: DecimalString
    average_price: DecimalString
    fee_bps: DecimalString
    funding_rate: DecimalString | None
    next_funding_ns: Ns | None
    book_age_ms: Count
    sequence: Annotated[int, Field(ge=-NS_MAX, le=NS_MAX)]
    message_id: Name
    generation: Count


class BuyLeg(_Leg):
    """The leg that is bought: prices in unit prices, touch and walked."""

    side: Literal["buy"]


class SellLeg(_Leg):
    """The leg that is sold: prices in unit prices, touch and walked."""

    side: Literal["sell"]


class _Signal(WireModel):
    id: Name
    schema_version: Literal[1]
    pair: Name
    event_time_ns: Ns
    emitted_ns: Ns
    expires_ns: Ns
    config_id: ConfigId


class _Arbitrage(_Signal):
    opportunity_id: OpportunityId
    event: Count
    direction: Direction
    legs: tuple[BuyLeg, SellLeg]
    size: DecimalString
    buy_notional: DecimalString
    sell_notional: DecimalString
    gross_usd: DecimalString
    fees_usd: DecimalString
    slippage_usd: DecimalString
    carry_usd: DecimalString
    net_entry_usd: DecimalString
    net_round_trip_usd: DecimalString
    net_usd: DecimalString
    net_bps: DecimalString
    edge_bps: DecimalString


class ArbitrageOpened(_Arbitrage):
    """A direction became profitable after costs."""

    type: Literal["arbitrage.opened"]


class ArbitrageUpdated(_Arbitrage):
    """An open opportunity changed by a tenth, or a second passed."""

    type: Literal["arbitrage.updated"]


class ArbitrageClosed(_Arbitrage):
    """An opportunity ended: its last open amounts, the outcome that ended it, and how it lived."""

    type: Literal["arbitrage.closed"]
    reason: Name
    duration_ns: Ns
    updates: Count
    peak_net_usd: DecimalString
    size_at_peak: DecimalString
    survived_ms: tuple[Count, ...]


class _Funding(_Signal):
    opportunity_id: OpportunityId
    event: Count
    direction: Direction
    legs: tuple[BuyLeg, SellLeg]
    carry_bps: DecimalString
    cost_bps: DecimalString
    net_bps: DecimalString
    break_even_ns: Ns | None


class FundingOpened(_Funding):
    """Holding both perps over the horizon pays more in funding than it costs."""

    type: Literal["funding.opened"]


class FundingClosed(_Funding):
    """A funding arbitrage does not pay any more."""

    type: Literal["funding.closed"]
    reason: Name
    duration_ns: Ns


class SpreadAnomaly(_Signal):
    """A direction's mean edge left, or came back to, its own rolling baseline; `reason` says why it ended."""

    type: Literal["spread.anomaly"]
    direction: Direction
    window_start_ns: Ns
    phase: Literal["started", "ended"]
    edge_bps: DecimalString
    median_bps: DecimalString
    mad_bps: DecimalString
    score: DecimalString
    reason: Name | None = None


class FundingAnomaly(_Signal):
    """A perp's rate is beyond its own history or changed its sign, or its interval changed: `message_id` shows it."""

    type: Literal["funding.anomaly"]
    kind: Literal["rate", "sign_flip", "interval"]
    venue: Name
    market: Market
    symbol: Name
    message_id: Name
    rate: DecimalString | None
    previous_rate: DecimalString | None
    interval_hours: Count | None
    previous_interval_hours: Count | None
    median_bps: DecimalString | None
    mad_bps: DecimalString | None
    score: DecimalString | None


class TradingSignal(_Signal):
    """What a strategy would do now, and why; `opportunity_id` names what it acts on, where there is one."""

    type: Literal["trading.signal"]
    strategy: Name
    direction: Direction
    action: Literal["enter", "exit"]
    notional_usd: DecimalString
    score: DecimalString | None
    reason: Name
    opportunity_id: OpportunityId | None


AnyArbitrage = ArbitrageOpened | ArbitrageUpdated | ArbitrageClosed
AnySignal = AnyArbitrage | FundingOpened | FundingClosed | SpreadAnomaly | FundingAnomaly | TradingSignal
Signal = Annotated[AnySignal, Field(discriminator="type")]

SIGNAL_MODELS: dict[str, type[WireModel]] = {
    "arbitrage.opened": ArbitrageOpened,
    "arbitrage.updated": ArbitrageUpdated,
    "arbitrage.closed": ArbitrageClosed,
    "funding.opened": FundingOpened,
    "funding.closed": FundingClosed,
    "spread.anomaly": SpreadAnomaly,
    "funding.anomaly": FundingAnomaly,
    "trading.signal": TradingSignal,
}

_signal: TypeAdapter[AnySignal] = TypeAdapter(Signal)


def parse_signal(value: bytes | None) -> AnySignal:
    """The signal in a record's value; raises BadRecordError `not_json`, `unknown_type`, `bad_message`."""
    return validate(_signal, value)


def validate(adapter: TypeAdapter[T], value: bytes | None) -> T:
    """A record's value as its model; raises BadRecordError with what does not fit, and where in the message."""
    try:
        return adapter.validate_json(value or b"")
    except ValidationError as error:
        raise BadRecordError(*_why(error.errors(include_url=False, include_context=False)[0])) from None


def _why(first: Any) -> tuple[str, str]:
    reasons = {"json_invalid": "not_json", "union_tag_invalid": "unknown_type", "union_tag_not_found": "unknown_type"}
    where = ".".join(map(str, first["loc"]))
    return reasons.get(first["type"], "bad_message"), f"{where}: {first['msg']}" if where else first["msg"]
