"""The worker on a machine where the compiled kernel does not load."""

import sys

sys.modules["mts_stream.domain.order_book_compiled"] = None  # type: ignore[assignment]

from mts_stream.app import create_app  # noqa: E402
from mts_stream.worker import settings_or_exit  # noqa: E402

app = create_app(settings_or_exit())
