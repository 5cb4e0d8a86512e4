"""Names of assets: multipliers by prefix and suffix, exceptions, aliases."""

import pytest

from mts_stream.exchanges.naming import asset_and_multiplier


@pytest.mark.parametrize(
    ("venue", "base", "asset", "multiplier"),
    [
        ("binance", "BTC", "BTC", 1),
        ("binance", "1000PEPE", "PEPE", 1000),
        ("bybit", "SHIB1000", "SHIB", 1000),
        ("binance", "1000SHIB", "SHIB", 1000),
        ("binance", "1000SATS", "SATS", 1000),
        ("bybit", "10000SATS", "SATS", 10_000),
        ("binance", "1MBABYDOGE", "BABYDOGE", 1_000_000),
        ("bybit", "1000000BABYDOGE", "BABYDOGE", 1_000_000),
        ("bybit", "1000000MOG", "MOG", 1_000_000),
        ("bybit", "1000NEIROCTO", "NEIRO", 1000),
        ("binance", "NEIRO", "NEIRO", 1),
        ("bybit", "NEIROCTO", "NEIRO", 1),
        ("binance", "NEIROETH", "NEIROETH", 1),
        ("bybit", "NEIROETH", "NEIROETH", 1),
        ("bybit", "1000TURBO", "TURBO", 1000),
        ("binance", "TURBO", "TURBO", 1),
        ("binance", "1000CAT", "CAT", 1000),
        ("binance", "1000CHEEMS", "CHEEMS", 1000),
        ("binance", "1000000MOG", "MOG", 1_000_000),
        ("bybit", "10000000AIDOGE", "10000000AIDOGE", 1),
        ("binance", "1INCH", "1INCH", 1),
        ("bybit", "0G", "0G", 1),
        ("bybit", "2Z", "2Z", 1),
        ("binance", "4", "4", 1),
        ("binance", "1000", "1000", 1),
    ],
)
def test_a_base_name_is_an_asset_and_a_multiplier(venue: str, base: str, asset: str, multiplier: int) -> None:
    """Prefixes and the suffix 1000 are multipliers, other digits belong to the name."""
    assert asset_and_multiplier(venue, base) == (asset, multiplier)
