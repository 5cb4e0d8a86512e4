"""The control port: what was true, for whoever checks results against it."""

from collections.abc import Callable
from typing import Any, Protocol

import orjson
from aiohttp import web

from producers.simulator.world import TrueBook


class Told(Protocol):
    """What the port tells of."""

    @property
    def truth(self) -> list[dict[str, Any]]:
        """The episodes so far."""

    @property
    def fault_truth(self) -> list[dict[str, Any]]:
        """The faults so far."""

    def true_books(self, venue: str, market: str, symbol: str, sequence: int) -> list[TrueBook]:
        """The books at a sequence."""

    def multiplier(self, venue: str, market: str, symbol: str) -> int:
        """How many units of the asset one of the symbol's holds."""


def control_routes(told: Told) -> Callable[[web.Application], None]:
    """`/truth` (episodes), `/faults`, `/book?venue=&market=&symbol=&sequence=` (of each epoch that holds it).

    Prices are the venue's own, of `multiplier` units.
    """

    async def truth(request: web.Request) -> web.Response:
        return _json({"episodes": told.truth})

    async def faults(request: web.Request) -> web.Response:
        return _json({"faults": told.fault_truth})

    async def book(request: web.Request) -> web.Response:
        query = request.query
        try:
            venue, market, symbol = (query[name] for name in ("venue", "market", "symbol"))
            books = told.true_books(venue, market, symbol, int(query["sequence"]))
            multiplier = told.multiplier(venue, market, symbol)
        except (LookupError, ValueError):
            raise web.HTTPNotFound(text="no such book") from None
        sides = [{"bids": book.bids, "asks": book.asks} for book in books]
        return _json({"books": sides, "multiplier": multiplier})

    def add(app: web.Application) -> None:
        for path, handler in (("/truth", truth), ("/faults", faults), ("/book", book)):
            app.router.add_get(path, handler)

    return add


def _json(body: Any) -> web.Response:
    return web.Response(body=orjson.dumps(body), content_type="application/json")
