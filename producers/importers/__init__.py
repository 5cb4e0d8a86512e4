"""Third-party captures into ours: one module per format, each a `SourceFormat`."""

from producers.importers.bybit_ob import BybitOrderBook
from producers.importers.hftbacktest import HftBacktest
from producers.importers.source import SourceFormat

FORMATS: dict[str, SourceFormat] = {format_.name: format_ for format_ in (HftBacktest(), BybitOrderBook())}
