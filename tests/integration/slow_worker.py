"""The worker with an engine that takes SLOW_S for a record while the file SLOW_WHILE stands."""

import os
import time
from pathlib import Path
from typing import Any

from mts_stream.app import create_app
from mts_stream.domain.engine import PartitionEngine
from mts_stream.domain.market_data import MarketEvent
from mts_stream.worker import settings_or_exit
from tests.integration.engines import Around

SLOW_S = float(os.environ["SLOW_S"])
SLOW_WHILE = Path(os.environ["SLOW_WHILE"])


class SlowEngine(Around):
    """Far slower than records come, for a while."""

    def on_event(self, event: MarketEvent, offset: int, *, owe: bool = False) -> Any:
        """The engine's own."""
        if SLOW_WHILE.exists():
            time.sleep(SLOW_S)
        return self.engine.on_event(event, offset, owe=owe)


settings = settings_or_exit()
app = create_app(settings, lambda: SlowEngine(PartitionEngine(settings.economics())))
