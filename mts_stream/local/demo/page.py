"""What the live page shows, asked over its own API."""

import asyncio

import aiohttp

ASK_INTERVAL_S = 0.25
ANSWER_S = 2.0


class PageProbe:
    """Asks the page until it shows something."""

    def __init__(self, address: str) -> None:
        self._url = f"{address}/api/state"

    async def wait_for(self, *lists: str) -> None:
        """Return when one of these lists of the page's state has something in it; never gives up by itself."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as session:
            while not await self._shows(session, lists):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(ASK_INTERVAL_S)

    async def _shows(self, session: aiohttp.ClientSession, lists: tuple[str, ...]) -> bool:
        try:
            async with session.get(self._url) as answer:
                state = await answer.json() if answer.status == 200 else {}
        except (aiohttp.ClientError, TimeoutError):
            return False  # it is still starting; its death would end the demo elsewhere
        return any(state.get(name) for name in lists)
