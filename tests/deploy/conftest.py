"""What the deployment's tests share."""

from collections.abc import Callable

import pytest

from mts_stream.settings import Settings, load_settings


@pytest.fixture
def ours_settings(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], Settings]:
    """Settings read from an environment given as a mapping; refuses variables that are no settings."""

    def read(environment: dict[str, str]) -> Settings:
        unknown = {name for name in environment if name.lower() not in Settings.model_fields}
        assert not unknown
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return load_settings()

    return read
