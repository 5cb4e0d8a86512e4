"""The captures whose results two independent Decimal implementations of the design agree on, and their settings."""

import json
from pathlib import Path

from mts_stream.settings import Settings, load_settings

DATA = Path(__file__).parents[1] / "data" / "conformance"
CASES: dict[str, dict[str, object]] = json.loads((DATA / "settings.json").read_text())


def settings_of(case: str) -> Settings:
    """Those that the results of a case were computed with."""
    variables = CASES[case]["settings"]
    assert isinstance(variables, dict)
    return load_settings(**{name.lower(): value for name, value in variables.items()})


def capture_of(case: str) -> Path:
    """The raw log of a case."""
    return DATA / str(CASES[case]["capture"])
