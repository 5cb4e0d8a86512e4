"""The worker with an engine that meets a bug at the record of offset 3000."""

from mts_stream.app import create_app
from mts_stream.domain.engine import Handled, PartitionEngine
from mts_stream.domain.market_data import MarketEvent
from mts_stream.worker import settings_or_exit


class BuggyEngine(PartitionEngine):
    """Raises where it should not."""

    def on_event(self, event: MarketEvent, offset: int, *, owe: bool = False) -> Handled:
        """The engine's own, but for one record."""
        if offset == 3000:
            raise ZeroDivisionError("a bug")
        return super().on_event(event, offset, owe=owe)


settings = settings_or_exit()
app = create_app(settings, lambda: BuggyEngine(settings.economics()))
