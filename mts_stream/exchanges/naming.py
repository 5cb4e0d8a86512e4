"""Which asset a venue's base name means, and how many units of it one contract or coin holds (exchanges.md 3)."""

import re

_PREFIX = re.compile(r"(1000000|100000|10000|1000|1M)(?=[A-Z])")
_SUFFIX = re.compile(r"(?<=[A-Z])(1000)$")
_UNITS = {"1M": 1_000_000}

# Names that begin with digits and mean no multiplier.
PLAIN_NAMES = frozenset({"1INCH", "4", "0G", "2Z"})

# One asset, two names: the venue's spelling (without multiplier) and ours. NEIROETH is another coin than NEIRO.
ALIASES = {("bybit", "NEIROCTO"): "NEIRO"}

# One name, two assets or two prices: seen not to be comparable between the venues (other index sets, closed wallets,
# shares of companies that are not listed), exchanges.md 3 rule 3, measured 2026-09. Looked over: 2026-11.
AMBIGUOUS_NAMES = frozenset({"ONE", "QNT", "ONG", "BB", "ON", "SIREN", "OPENAI", "ANTHROPIC"})


def asset_and_multiplier(venue: str, base: str) -> tuple[str, int]:
    """The asset in single units and the multiplier: `1000PEPE` is (PEPE, 1000), `SHIB1000` is (SHIB, 1000)."""
    asset, multiplier = _split(base)
    return ALIASES.get((venue, asset), asset), multiplier


def _split(base: str) -> tuple[str, int]:
    if base in PLAIN_NAMES:
        return base, 1
    if match := _PREFIX.match(base):
        return base[match.end() :], _UNITS.get(match[1]) or int(match[1])
    if match := _SUFFIX.search(base):
        return base[: match.start()], int(match[1])
    return base, 1
