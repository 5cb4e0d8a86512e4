"""Settings: defaults, environment, and a complaint that names the variable for whatever cannot be."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from mts_stream.domain.economics import EconomicSettings, Route
from mts_stream.errors import SettingsError
from mts_stream.settings import ECONOMIC_VARIABLES, Settings, economic_variables, load_settings, parse_routes


def complaint(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    """The one line that a wrong environment gets."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert refused.value.exit_code == 2
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_the_defaults_are_the_domains_own() -> None:
    """Without any variable the economics are those the domain states."""
    economics = load_settings().economics()

    assert economics == EconomicSettings(fees=economics.fees)
    assert economics.config_id == EconomicSettings().config_id


def test_a_variable_is_the_fields_name_in_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    """`MIN_NOTIONAL=12.5` sets `min_notional`, exactly."""
    monkeypatch.setenv("MIN_NOTIONAL", "12.5")

    assert load_settings().min_notional == Decimal("12.5")


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose and shells hand on empty variables: they mean the default."""
    monkeypatch.setenv("WORKER_WEB_PORT", "")

    assert load_settings().worker_web_port == 6066


def test_a_keyword_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command's own option is stronger than the environment."""
    monkeypatch.setenv("WEB_PORT", "9000")

    assert load_settings(web_port=9001).web_port == 9001


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLIPPAGE_BPS", "-1"),
        ("SLIPPAGE_BPS", "NaN"),
        ("SLIPPAGE_BPS", "Infinity"),
        ("SLIPPAGE_BPS", "much"),
        ("MIN_NOTIONAL", "1e15"),
        ("MIN_NOTIONAL", "0.0000000000001"),
        ("MAX_NOTIONAL", "0"),
        ("MAX_DEPTH_SHARE", "0"),
        ("MAX_DEPTH_SHARE", "1.01"),
        ("PARTITIONS", "0"),
        ("PARTITIONS", "1.5"),
        ("WEB_PORT", "0"),
        ("WORKER_WEB_PORT", "65536"),
        ("CHECKPOINT_INTERVAL_S", "0"),
        ("KEYFRAME_INTERVAL_S", "61"),
        ("NET_BASIS", "gross"),
        ("LOG_LEVEL", "LOUD"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("CLICKHOUSE_DATABASE", "mts; DROP"),
        ("CLICKHOUSE_URL", "clickhouse:8123"),
        ("BYBIT_WS_URL", "https://example.org"),
        ("ROUTES", "perp>future"),
        ("SAME_VENUE_ROUTES", "perp"),
    ],
)
def test_a_value_out_of_range_names_its_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """What cannot be is refused in one line that begins with the variable and shows the value."""
    assert complaint(monkeypatch, **{name: value}).startswith(f"{name}={value!r}: ")


def test_every_wrong_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two mistakes are told together, not one after the other."""
    told = complaint(monkeypatch, WEB_PORT="x", PARTITIONS="-1")

    assert "WEB_PORT='x'" in told and "PARTITIONS='-1'" in told


def test_contradictions_name_both_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minimum above the maximum is told with both names."""
    told = complaint(monkeypatch, MIN_NOTIONAL="200", MAX_NOTIONAL="100")

    assert "MIN_NOTIONAL 200" in told and "MAX_NOTIONAL 100" in told


def test_a_profit_above_the_widest_edge_is_a_contradiction(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing could ever be a signal; both names are told."""
    told = complaint(monkeypatch, ARBITRAGE_MIN_PROFIT_BPS="50", MAX_EDGE_BPS="40")

    assert "ARBITRAGE_MIN_PROFIT_BPS 50" in told and "MAX_EDGE_BPS 40" in told


@pytest.mark.parametrize("name", ["KAFKA_SASL_PASSWORD", "CLICKHOUSE_PASSWORD"])
def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Neither the settings' text nor their dump holds a password."""
    monkeypatch.setenv(name, "hunter2")
    settings = load_settings()

    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump_json()}"


@pytest.mark.parametrize("name", [n.upper() for n, f in Settings.model_fields.items() if "password" in n])
def test_a_secret_is_not_shown_when_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A complaint about another variable leaves the passwords out."""
    monkeypatch.setenv(name, "hunter2")

    assert "hunter2" not in complaint(monkeypatch, PARTITIONS="0")


def test_words_may_be_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Level and protocol are taken in small letters too."""
    monkeypatch.setenv("LOG_LEVEL", "debug")
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "sasl_ssl")

    assert (load_settings().log_level, load_settings().kafka_security_protocol) == ("DEBUG", "SASL_SSL")


def test_a_url_loses_its_last_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are appended to URLs, so these end without a slash."""
    monkeypatch.setenv("CLICKHOUSE_URL", "http://store:8123/")
    monkeypatch.setenv("BYBIT_WS_URL", "ws://127.0.0.1:1/")

    assert (load_settings().clickhouse_url, load_settings().bybit_ws_url) == ("http://store:8123", "ws://127.0.0.1:1")


def test_routes_are_read_in_order() -> None:
    """Routes are separated by commas, blanks and empty ones do not count."""
    assert parse_routes(" perp>perp, spot>perp ,") == (Route("perp", "perp"), Route("spot", "perp"))
    assert parse_routes("") == ()


FEES = """
[[fee]]
venue = "binance"
market = "perp"
taker_bps = "4.5"
valid_from = 2026-01-01

[[fee]]
venue = "binance"
market = "perp"
fee_group = "vip"
taker_bps = 3
valid_from = "2026-06-01"
"""
JULY_NS = int((date(2026, 7, 1) - date(1970, 1, 1)).total_seconds()) * 10**9


def write(folder: Path, text: str) -> str:
    """A fee file."""
    path = folder / "fees.toml"
    path.write_text(text)
    return str(path)


def test_fees_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of FEES_FILE replaces the public one: groups, dates, exact numbers."""
    monkeypatch.setenv("FEES_FILE", write(tmp_path, FEES))
    fees = load_settings().economics().fees

    assert fees.taker_bps("binance", "perp", "default", JULY_NS) == Decimal("4.5")
    assert fees.taker_bps("binance", "perp", "vip", JULY_NS) == 3
    assert fees.taker_bps("bybit", "perp", "default", JULY_NS) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[fee]", "fees.toml"),
        ('[[fee]]\nvenue = "binance"', "number 1 lacks 'market'"),
        (FEES + 'maker_bps = "1"', "number 2 has an unknown key 'maker_bps'"),
        (FEES.replace("= 3", "= -3"), "number 2 has taker_bps -3"),
        (FEES.replace('"4.5"', '"x"'), "number 1 has taker_bps 'x'"),
        (FEES.replace('"4.5"', "nan"), "number 1 has taker_bps nan"),
        (FEES.replace("2026-01-01", '"January"'), "number 1 has valid_from 'January'"),
        (FEES.replace('venue = "binance"', 'venue = "binanse"', 1), "number 1 has unknown venue"),
        ("fee = 3", "[[fee]]"),
        ('fee = ["binance"]', "[[fee]]"),
        (FEES.replace('fee_group = "vip"\n', "").replace("06", "01"), "two fees of binance/perp/default"),
    ],
)
def test_a_wrong_fee_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str) -> None:
    """A mistake in the fee table names FEES_FILE, the file and the table in question."""
    said = complaint(monkeypatch, FEES_FILE=write(tmp_path, text))

    assert said.startswith("FEES_FILE ") and told in said


GAP = (
    FEES
    + """
[[fee]]
venue = "bybit"
market = "perp"
taker_bps = "5.5"
valid_from = 2026-02-01
"""
)


def test_a_fee_table_with_a_gap_in_time_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leg whose fees begin after another's: in between, nothing could be computed. A later group is no gap."""
    said = complaint(monkeypatch, FEES_FILE=write(tmp_path, GAP))

    assert said.startswith("FEES_FILE ") and "bybit:perp begin on 2026-02-01" in said and "on 2026-01-01" in said
    monkeypatch.setenv("FEES_FILE", write(tmp_path, GAP.replace("02-01", "01-01")))
    assert load_settings().economics().fees.taker_bps("bybit", "perp", "vip", JULY_NS) == Decimal("5.5")


def test_a_missing_fee_file_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not there is a wrong setting, not a crash."""
    assert "/nowhere/fees.toml" in complaint(monkeypatch, FEES_FILE="/nowhere/fees.toml")


def test_the_fee_table_is_part_of_the_configurations_name(tmp_path: Path) -> None:
    """Another fee gives another `config_id`; the same settings give the same one in every process."""
    other = load_settings(fees_file=write(tmp_path, FEES)).economics()

    assert other.config_id != load_settings().economics().config_id
    assert other.config_id == load_settings(fees_file=write(tmp_path, FEES)).economics().config_id


def test_equal_settings_have_one_name() -> None:
    """`config_id` looks at values, not at how they were written."""
    assert (
        load_settings(min_notional="100.00", routes="spot>perp,perp>perp,spot>spot").economics().config_id
        == load_settings().economics().config_id
    )


def test_a_default_configuration_keeps_its_name() -> None:
    """The defaults' `config_id` is that of the first version: a setting that came later counts where it is changed."""
    first = "40051a4021b13e7011ee53d5bedc81209c88927646614d8afd26f23afeceb33a"

    assert load_settings().economics().config_id == first
    assert load_settings(max_depth_share="0.5").economics().config_id != first


def test_economic_variables_are_told_as_strings() -> None:
    """What a recording keeps of the settings: the variables that decide results, by name, none of them left out."""
    told = economic_variables(load_settings(max_notional="25000"))

    assert tuple(told) == ECONOMIC_VARIABLES
    assert told["MAX_NOTIONAL"] == "25000" and told["FEES_FILE"] == "" and told["SILENT_AFTER_MS"] == "3000"


def test_every_economic_setting_has_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each field of EconomicSettings comes from a variable of the list, so a recording can be repeated."""
    known = {name.lower().removeprefix("arbitrage_") for name in ECONOMIC_VARIABLES} | {"fees"}

    assert set(EconomicSettings.__dataclass_fields__) <= known
