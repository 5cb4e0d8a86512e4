"""Every setting of every process, in one object, read from the environment.

The variable is the field's name in capitals, without a prefix: `silent_after_ms` is `SILENT_AFTER_MS`.
"""

import re
import tomllib
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from mts_stream.domain.economics import EconomicSettings, Route
from mts_stream.domain.fees import Fee, FeeSchedule
from mts_stream.domain.instrument import MARKETS
from mts_stream.domain.kernel import KernelChoice
from mts_stream.errors import SettingsError
from mts_stream.exchanges import VENUES

DECIMALS_MAX = 12


def _plain(value: Decimal) -> Decimal:
    """Refuse what the exact arithmetic has no room for."""
    if not value.is_finite() or abs(value) >= Decimal(10) ** 15:
        raise ValueError("must be a finite number below 10^15")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and -exponent > DECIMALS_MAX:
        raise ValueError(f"must not have more than {DECIMALS_MAX} decimals")
    return value


def _http_url(value: str) -> str:
    if not re.match(r"^https?://[^\s/]+", value):
        raise ValueError("must start with http:// or https:// and a host")
    return value.rstrip("/")


def _ws_url(value: str) -> str:
    if not re.match(r"^wss?://[^\s/]+", value):
        raise ValueError("must start with ws:// or wss:// and a host")
    return value.rstrip("/")


Exact = Annotated[Decimal, AfterValidator(_plain)]
NotNegative = Annotated[Exact, Field(ge=0)]
_ORDERED = (
    ("min_notional", "max_notional"),
    ("arbitrage_min_profit_bps", "max_edge_bps"),
    ("anomaly_leave_score", "anomaly_enter_score"),
    ("anomaly_min_windows", "anomaly_window_s"),
)
Port = Annotated[int, Field(ge=1, le=65535)]
Days = Annotated[int, Field(ge=1, le=36_500)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
WsUrl = Annotated[str, AfterValidator(_ws_url)]


class Settings(BaseSettings):
    """The settings in force; unknown variables are ignored, wrong values name their variable."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    # Kafka
    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: str = ""
    kafka_sasl_password: SecretStr = SecretStr("")
    kafka_ssl_ca_location: str = ""
    partitions: int = Field(12, ge=1, le=1024)
    replication_factor: int = Field(1, ge=1, le=15)

    # ClickHouse
    clickhouse_url: HttpUrl = "http://127.0.0.1:8123"
    clickhouse_database: str = Field("mts", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    clickhouse_user: str = "default"
    clickhouse_password: SecretStr = SecretStr("")
    clickhouse_timeout_s: float = Field(30, ge=1, le=40)  # clickhouse.lock.EXPIRES_S is more than twice as long
    clickhouse_cluster: str = Field("", pattern=r"^[A-Za-z0-9_.-]*$")
    store_spreads_days: Days = 90
    store_quality_days: Days = 90
    store_signals_days: Days = 365
    store_funding_days: Days = 1095
    store_opportunities_days: Days = 1095

    # Economics (DESIGN section 5)
    fees_file: Path | None = None
    slippage_bps: NotNegative = Decimal(1)
    min_notional: NotNegative = Decimal(100)
    max_notional: Annotated[Exact, Field(gt=0)] = Decimal(50000)
    max_depth_share: Annotated[Exact, Field(gt=0, le=1)] = Decimal(1)
    holding_hours: NotNegative = Decimal(8)
    arbitrage_min_profit_usd: Exact = Decimal("10.00")
    arbitrage_min_profit_bps: Exact = Decimal(5)
    max_edge_bps: Annotated[Exact, Field(gt=0)] = Decimal(1000)
    net_basis: Literal["auto", "entry", "round_trip"] = "auto"
    routes: str = "perp>perp,spot>spot,spot>perp"
    same_venue_routes: str = ""
    funding_max_age_s: int = Field(900, ge=1)
    funding_horizon_hours: Annotated[Exact, Field(ge=0, le=8760)] = Decimal(24)
    funding_min_net_bps: Exact = Decimal(5)
    signal_ttl_ms: int = Field(1500, ge=1)

    # Anomalies
    anomaly_window_s: int = Field(900, ge=1, le=86_400)
    anomaly_min_windows: int = Field(120, ge=1)
    anomaly_enter_score: NotNegative = Decimal(6)
    anomaly_leave_score: NotNegative = Decimal(3)
    anomaly_floor_bps: Annotated[Exact, Field(gt=0)] = Decimal("0.1")
    anomaly_min_duration_s: int = Field(3, ge=1)
    anomaly_cooldown_s: int = Field(60, ge=0)
    funding_anomaly_changes: int = Field(30, ge=2, le=1000)

    # Books and time (DESIGN section 4)
    silent_after_ms: int = Field(3000, ge=1)
    max_feed_lag_ms: int = Field(0, ge=0)

    # Worker
    kernel: KernelChoice = "auto"
    checkpoint_interval_s: float = Field(10, gt=0, le=600)
    max_lag_ms: int = Field(2000, ge=1)
    fetch_records_max: int = Field(1000, ge=1, le=100_000)
    results_unsent_max: int = Field(20_000, ge=100)
    broker_session_timeout_s: int = Field(10, ge=6, le=90)  # Faust allows no more than a request may take
    worker_instance_id: str = Field("", max_length=200)  # one of its own for each worker, or none
    worker_web_port: Port = 6066
    worker_data_dir: Path = Path(".mts/worker")

    # Sink
    sink_batch_rows: int = Field(20_000, ge=1, le=100_000)
    sink_batch_bytes: int = Field(33_554_432, ge=1024)
    sink_batch_age_ms: int = Field(1000, ge=10, le=60_000)
    sink_retry_max_s: float = Field(30, gt=0)
    sink_web_port: Port = 6067
    sink_data_dir: Path = Path(".mts/sink")

    # Producers
    pairs: str = ""
    pairs_top: int = Field(20, ge=1, le=2000)
    binance_spot_ws_url: WsUrl = "wss://data-stream.binance.vision"
    binance_spot_rest_url: HttpUrl = "https://data-api.binance.vision"
    binance_perp_ws_url: WsUrl = "wss://fstream.binance.com"
    binance_perp_rest_url: HttpUrl = "https://fapi.binance.com"
    bybit_ws_url: WsUrl = "wss://stream.bybit.com"
    bybit_rest_url: HttpUrl = "https://api.bybit.com"
    producer_queue_records: int = Field(100_000, ge=100)
    producer_stalled_s: float = Field(5, gt=0)
    keyframe_interval_s: float = Field(60, ge=1, le=60)
    registry_interval_s: float = Field(60, ge=1, le=60)
    rest_weight_share: float = Field(0.5, gt=0, le=1)
    symbols_per_connection: int = Field(200, ge=1, le=1000)
    connection_life_s: float = Field(0, ge=0)
    producer_metrics_port: Port = 6068

    # Live page
    web_host: str = "127.0.0.1"
    web_port: Port = 8080
    web_history_s: int = Field(900, ge=1, le=86_400)

    # Everywhere
    metrics_host: str = "127.0.0.1"
    data_dir: Path = Path("~/.local/share/mts-stream")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "json"

    @field_validator("log_level", "kafka_security_protocol", "kafka_sasl_mechanism", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("routes", "same_venue_routes")
    @classmethod
    def _routes_exist(cls, value: str) -> str:
        parse_routes(value)
        return value

    @model_validator(mode="after")
    def _agree(self) -> "Settings":
        for least, most in _ORDERED:
            low, high = getattr(self, least), getattr(self, most)
            if low > high:
                raise ValueError(f"{least.upper()} {low} is above {most.upper()} {high}")
        return self

    def economics(self) -> EconomicSettings:
        """The part of the settings that decides results, with the fee table, as the domain takes it."""
        return EconomicSettings(
            fees=load_fees(self.fees_file),
            slippage_bps=self.slippage_bps,
            min_notional=self.min_notional,
            max_notional=self.max_notional,
            max_depth_share=self.max_depth_share,
            holding_hours=self.holding_hours,
            min_profit_usd=self.arbitrage_min_profit_usd,
            min_profit_bps=self.arbitrage_min_profit_bps,
            max_edge_bps=self.max_edge_bps,
            net_basis=self.net_basis,
            routes=parse_routes(self.routes),
            same_venue_routes=parse_routes(self.same_venue_routes),
            funding_max_age_s=self.funding_max_age_s,
            funding_horizon_hours=self.funding_horizon_hours,
            funding_min_net_bps=self.funding_min_net_bps,
            signal_ttl_ms=self.signal_ttl_ms,
            anomaly_window_s=self.anomaly_window_s,
            anomaly_min_windows=self.anomaly_min_windows,
            anomaly_enter_score=self.anomaly_enter_score,
            anomaly_leave_score=self.anomaly_leave_score,
            anomaly_floor_bps=self.anomaly_floor_bps,
            anomaly_min_duration_s=self.anomaly_min_duration_s,
            anomaly_cooldown_s=self.anomaly_cooldown_s,
            funding_anomaly_changes=self.funding_anomaly_changes,
            silent_after_ms=self.silent_after_ms,
            max_feed_lag_ms=self.max_feed_lag_ms,
        )


ECONOMIC_VARIABLES = (
    "FEES_FILE",
    "SLIPPAGE_BPS",
    "MIN_NOTIONAL",
    "MAX_NOTIONAL",
    "MAX_DEPTH_SHARE",
    "HOLDING_HOURS",
    "ARBITRAGE_MIN_PROFIT_USD",
    "ARBITRAGE_MIN_PROFIT_BPS",
    "MAX_EDGE_BPS",
    "NET_BASIS",
    "ROUTES",
    "SAME_VENUE_ROUTES",
    "FUNDING_MAX_AGE_S",
    "FUNDING_HORIZON_HOURS",
    "FUNDING_MIN_NET_BPS",
    "SIGNAL_TTL_MS",
    "ANOMALY_WINDOW_S",
    "ANOMALY_MIN_WINDOWS",
    "ANOMALY_ENTER_SCORE",
    "ANOMALY_LEAVE_SCORE",
    "ANOMALY_FLOOR_BPS",
    "ANOMALY_MIN_DURATION_S",
    "ANOMALY_COOLDOWN_S",
    "FUNDING_ANOMALY_CHANGES",
    "SILENT_AFTER_MS",
    "MAX_FEED_LAG_MS",
)


def economic_variables(settings: Settings) -> dict[str, str]:
    """The settings of DESIGN section 5 in force, by their variables' names, as strings."""
    values = {name: getattr(settings, name.lower()) for name in ECONOMIC_VARIABLES}
    return {name: "" if value is None else str(value) for name, value in values.items()}


def parse_routes(text: str) -> tuple[Route, ...]:
    """Routes out of `buy>sell,buy>sell`, where buy and sell are `spot` or `perp`."""
    routes = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        buy, _, sell = part.partition(">")
        if buy not in ("spot", "perp") or sell not in ("spot", "perp"):
            raise ValueError(f"unknown route {part!r}: a route is spot>spot, spot>perp, perp>spot or perp>perp")
        routes.append(Route(buy, sell))
    return tuple(routes)


def load_fees(path: Path | None) -> FeeSchedule:
    """The fee table of a TOML file, or the venues' public ones without a file.

    Raises SettingsError, naming FEES_FILE and the table in question.
    """
    if path is None:
        return FeeSchedule.public()
    try:
        tables = tomllib.loads(path.read_text()).get("fee", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise ValueError("`fee` must be tables, each under its own [[fee]]")
        fees = FeeSchedule([_fee(index, table) for index, table in enumerate(tables)])
        fees.check_beginnings()
        return fees
    except (OSError, ValueError) as error:
        raise SettingsError(f"FEES_FILE {path}: {error}") from error


def _fee(index: int, table: dict[str, Any]) -> Fee:
    where = f"[[fee]] number {index + 1}"
    unknown = set(table) - {"venue", "market", "fee_group", "taker_bps", "valid_from"}
    if unknown:
        raise ValueError(f"{where} has an unknown key {sorted(unknown)[0]!r}")
    missing = {"venue", "market", "taker_bps", "valid_from"} - set(table)
    if missing:
        raise ValueError(f"{where} lacks {sorted(missing)[0]!r}")
    if table["venue"] not in VENUES or table["market"] not in MARKETS:
        raise ValueError(f"{where} has unknown venue or market {table['venue']!r}, {table['market']!r}")
    group = str(table.get("fee_group", "default"))
    return Fee(
        table["venue"], table["market"], group,
        _taker_bps(where, table["taker_bps"]), _day(where, table["valid_from"]),
    )  # fmt: skip


def _taker_bps(where: str, value: Any) -> Decimal:
    try:
        taker_bps = _plain(Decimal(str(value)))
    except (ArithmeticError, ValueError):
        taker_bps = None
    if taker_bps is None or not 0 <= taker_bps < 10_000:
        raise ValueError(f"{where} has taker_bps {value!r}, which is no number from 0 to below 10000")
    return taker_bps


def _day(where: str, value: Any) -> date:
    try:
        day = value if isinstance(value, date) else date.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{where} has valid_from {value!r}, which is no date") from None
    return date(day.year, day.month, day.day)


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process's environment, overridden by keyword.

    Raises SettingsError with one line that names each wrong variable.
    """
    try:
        settings = Settings(**overrides)
        settings.economics()
    except ValidationError as error:
        raise SettingsError("; ".join(_complaint(item) for item in error.errors())) from None
    return settings


def _complaint(item: Any) -> str:
    text = item["msg"].removeprefix("Value error, ")
    if not item["loc"]:
        return str(text)
    name = str(item["loc"][0]).upper()
    shown = "" if "PASSWORD" in name else f"={item['input']!r}"
    return f"{name}{shown}: {text}"
