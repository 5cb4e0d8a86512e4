"""The worker with an engine that takes SLOW_S for a record while the file SLOW_WHILE stands."""

import os
import time
from pathlib import Path

from mts_stream.app import create_app
from mts_stream.domain.engine import Handled, PartitionEngine
from mts_stream.domain.market_data import MarketEvent
from mts_stream.worker import settings_or_exit

SLOW_S = float(os.environ["SLOW_S"])
SLOW_WHILE = Path(os.environ["SLOW_WHILE"])


class SlowEngine(PartitionEngine):
    """Far slower than records come, for a while."""

    def on_event(self, event: MarketEvent, offset: int, *, owe: bool = False) -> Handled:
        """The engine's own."""
        if SLOW_WHILE.exists():
            time.sleep(SLOW_S)
        return super().on_event(event, offset, owe=owe)


settings = settings_or_exit()
app = create_app(settings, lambda: SlowEngine(settings.economics()))
