"""The worker with an engine that meets a bug at the record of offset 3000."""

from typing import Any

from mts_stream.app import create_app
from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.market_data import MarketEvent
from mts_stream.worker import settings_or_exit
from tests.integration.engines import Around


class BuggyEngine(Around):
    """Raises where it should not."""

    def on_event(self, event: MarketEvent, offset: int, *, owe: bool = False) -> Any:
        """The engine's own, but for one record."""
        if offset == 3000:
            raise ZeroDivisionError("a bug")
        return self.engine.on_event(event, offset, owe=owe)


settings = settings_or_exit()
app = create_app(settings, lambda: BuggyEngine(PartitionEngine(settings.economics())))
