"""Settlements of the past, from the venues' REST: whole, in spans that one answer can hold."""

from collections.abc import AsyncIterator

from mts_stream.exchanges.venue import FundingSettlement
from producers.rest import BadAnswerError, RestClient

HOUR_MS = 3_600_000
FILLED_SHARE = 0.75  # of a page, at a settlement every hour, the most there are: a full page may not be all


async def settlements(
    client: RestClient, symbol: str, start_ms: int, end_ms: int
) -> AsyncIterator[list[FundingSettlement]]:
    """The settlements from `start_ms` to before `end_ms`, span by span, oldest first.

    One venue answers a span from its beginning, the other from its end; spans of fewer hours than a page has rows
    make that the same. Raises VenueError.
    """
    page_rows = client.market.funding_page_rows
    span_ms = int(page_rows * FILLED_SHARE) * HOUR_MS
    for from_ms in range(start_ms, end_ms, span_ms):
        until_ms = min(from_ms + span_ms, end_ms)
        request = client.market.funding_history_request(symbol, from_ms, until_ms - 1)
        rows = await client.get(request, client.market.parse_funding_history)
        if len(rows) >= page_rows:
            raise BadAnswerError(f"{symbol}: {len(rows)} settlements in {span_ms // HOUR_MS} hours are not all of them")
        inside = (row for row in rows if from_ms <= row.settled_ms < until_ms)
        yield sorted(inside, key=lambda row: (row.settled_ms, row.rate_type))


def requests_needed(client: RestClient, start_ms: int, end_ms: int) -> int:
    """How many answers `settlements` takes."""
    span_ms = int(client.market.funding_page_rows * FILLED_SHARE) * HOUR_MS
    return -(-(end_ms - start_ms) // span_ms)
