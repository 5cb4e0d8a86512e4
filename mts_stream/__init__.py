"""Net arbitrage between exchanges, from raw market data to signals that anybody can recompute."""

__version__ = "0.1.0"
