"""The page's HTTP server over real HTTP and a real Kafka."""

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from mts_stream.local.ports import free_ports
from mts_stream.settings import Settings, load_settings
from mts_stream.web.hub import Hub
from mts_stream.web.server import PageServer
from tests.web import results
from tests.web.kafka_topics import ensure_topics, send

DEADLINE_S = 20.0

pytestmark = pytest.mark.xdist_group("page")


class Page:
    """A running server and a client of it."""

    def __init__(self, server: PageServer, url: str, http: aiohttp.ClientSession) -> None:
        self.server, self.url, self.http = server, url, http

    async def json(self, path: str) -> tuple[int, Any]:
        async with self.http.get(self.url + path) as response:
            return response.status, await response.json()

    async def until(self, path: str, condition: Any) -> Any:
        """The answer when it meets the condition."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            answer = await self.json(path)
            if condition(answer):
                return answer
            assert time.monotonic() < deadline, answer
            await asyncio.sleep(0.05)


async def running(settings: Settings) -> AsyncIterator[Page]:
    """A server on a free port."""
    server = PageServer(settings)
    runner = web.AppRunner(server.application(), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as http:
        yield Page(server, f"http://127.0.0.1:{runner.addresses[0][1]}", http)
    await runner.cleanup()


@pytest.fixture
def settings(kafka: str) -> Settings:
    """Settings of a broker with all topics."""
    settings = load_settings(kafka_bootstrap_servers=kafka, partitions=3)
    ensure_topics(settings)
    return settings


@pytest.fixture
async def page(settings: Settings) -> AsyncIterator[Page]:
    """A page that reads Kafka."""
    async for page in running(settings):
        yield page


@pytest.fixture
async def lonely_page() -> AsyncIterator[Page]:
    """A page without a Kafka."""
    (port,) = free_ports(1)
    async for page in running(load_settings(kafka_bootstrap_servers=f"127.0.0.1:{port}")):
        yield page


async def events(stream: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    """Server-sent events as a browser takes them."""
    name = ""
    async for line in stream.content:
        if line.startswith(b"event: "):
            name = line[7:].strip().decode()
        elif line.startswith(b"data: "):
            yield name, json.loads(line[6:])


async def test_the_snapshot_holds_what_the_topics_hold(page, settings):
    """Windows and opportunities sent to Kafka stand in the answer of /api/state."""
    now_ns = time.time_ns()
    life = results.life("SNAP-USDT", now_ns - results.S, 3)
    send(settings, [*results.windows("SNAP-USDT", now_ns - 4 * results.S, 3), life[0]])

    def arrived(answer: tuple[int, Any]) -> bool:
        rows = [row for row in answer[1]["directions"] if row["pair"] == "SNAP-USDT"]
        return len(rows) == 6 and any(row["pair"] == "SNAP-USDT" for row in answer[1]["open"])

    status, state = await page.until("/api/state", arrived)
    assert status == 200
    assert state["feed"]["state"] in ("catching_up", "live")


async def test_the_stream_begins_with_a_snapshot_and_brings_changes(page, settings):
    """A listener gets everything once, then what changed, at least once a second."""
    async with page.http.get(page.url + "/api/stream") as response:
        assert response.content_type == "text/event-stream"
        stream = events(response)
        name, snapshot = await anext(stream)
        assert (name, snapshot["full"]) == ("snapshot", True)

        send(settings, results.life("PUSH-USDT", time.time_ns(), 3)[:1])
        opened: list[str] = []
        times = []
        async with asyncio.timeout(DEADLINE_S):
            while "PUSH-USDT" not in opened or len(times) < 3:
                name, changes = await anext(stream)
                times.append(changes["now_ms"])
                opened += [row["pair"] for row in changes.get("open", [])]
        assert name == "changes"
        assert max(b - a for a, b in itertools.pairwise(times)) < 3000


async def test_a_listener_that_does_not_read_is_dropped(page):
    """Who leaves its events unread loses its connection; the server keeps nothing of it."""
    port = int(page.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(b"GET /api/stream HTTP/1.1\r\nHost: x\r\n\r\n")
    hub: Hub = page.server._hub
    async with asyncio.timeout(DEADLINE_S):
        while hub.clients == 0:
            await asyncio.sleep(0.01)
        while hub.clients == 1:
            hub.publish(b"x" * 1_000_000)
            await asyncio.sleep(0.01)
        with contextlib.suppress(ConnectionError):
            while await reader.read(1_000_000):  # what was under way, then the end or a reset
                pass
    writer.close()


async def test_a_listener_that_leaves_is_forgotten(page):
    """A closed page takes no place."""
    async with page.http.get(page.url + "/api/stream") as response:
        await anext(events(response))
        assert page.server._hub.clients == 1
    async with asyncio.timeout(DEADLINE_S):
        while page.server._hub.clients:
            await asyncio.sleep(0.05)


async def test_too_many_listeners_are_told_to_come_later(page):
    """A listener more than may is answered with 503 and when to try again."""
    page.server._hub = Hub(clients_max=0)
    async with page.http.get(page.url + "/api/stream") as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "5")


async def test_without_kafka_the_page_is_up_and_says_so(lonely_page):
    """The page and its files are served, /health says 503 with the reason, the snapshot says what is waited for."""
    status, health = await lonely_page.until("/health", lambda answer: answer[1]["state"] == "waiting")
    _, state = await lonely_page.json("/api/state")

    assert status == 503
    assert health["detail"] == state["feed"]["detail"]
    assert "Waiting for Kafka at 127.0.0.1:" in health["detail"]
    async with lonely_page.http.get(lonely_page.url) as response:
        assert response.status == 200
        assert "MTS Stream" in await response.text()


async def test_health_is_good_while_results_are_read(page):
    """/health answers 200 once the reader is live."""
    status, _ = await page.until("/health", lambda answer: answer[1]["state"] == "live")

    assert status == 200


@pytest.mark.parametrize("path", ["/", "/static/app.js", "/static/style.css", "/api/state", "/health", "/nothing"])
async def test_every_answer_has_the_security_headers(lonely_page, path):
    """Nothing may be loaded from elsewhere, framed, or guessed; also where the answer is an error."""
    async with lonely_page.http.get(lonely_page.url + path) as response:
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] in ("no-store", "no-cache")
        assert response.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/", "/api/state", "/api/stream", "/static/app.js"])
async def test_it_is_read_only(lonely_page, method, path):
    """Nothing but GET and HEAD is answered."""
    async with lonely_page.http.request(method, lonely_page.url + path) as response:
        assert response.status == 405


@pytest.mark.parametrize(
    "path", ["/static/../server.py", "/static/..%2fserver.py", "/static/%2e%2e/%2e%2e/settings.py"]
)
async def test_only_the_pages_own_files_are_served(lonely_page, path):
    """No path leads out of the directory of static files."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(lonely_page.url.rpartition(":")[2]))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()

    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 403"))


async def test_a_part_that_dies_ends_the_server(lonely_page):
    """A bug in a task is not hidden behind a page that looks alive."""
    lonely_page.server._feed._stopping.set()
    async with asyncio.timeout(DEADLINE_S):
        await lonely_page.server.failed.wait()

    with pytest.raises(RuntimeError, match="reads Kafka"):
        await lonely_page.server.check()
