"""A headless Chromium, a broker that the page has for itself, and the page as a process."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from mts_stream.local.broker import KafkaBroker
from mts_stream.settings import Settings, load_settings

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
INSTALL_TIMEOUT_S = 240
WAIT_MS = 20_000


def _installed() -> str | None:
    return next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)


def _install() -> str:
    """Install Debian's chromium; returns why that could not be done, empty when it was."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return "no chromium on PATH, and installing one needs root and apt-get"
    for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        try:
            done = subprocess.run(
                ["apt-get", "-q", *command],
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                capture_output=True,
                text=True,
                timeout=INSTALL_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"no chromium on PATH, and apt-get {command[0]} took longer than {INSTALL_TIMEOUT_S} s"
        if done.returncode != 0:
            return f"no chromium on PATH, and apt-get {command[0]} failed: {done.stderr.strip()[-200:]}"
    return ""


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; skips, saying why, where there is none and none can be installed."""
    path = _installed()
    if path is None:
        reason = _install()
        path = _installed()
        if path is None:
            pytest.skip(f"browser tests did not run: {reason or 'apt-get installed no chromium'}")
    return path


# Playwright's own event loop counts as running in this thread: it must end before another module's async tests.
@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


class Look:
    """A page in a browser window of its own, with what it complained of and whom it asked."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.asked: set[str] = set()
        self.loses_its_server = False
        page.set_default_timeout(WAIT_MS)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._request)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _request(self, request: Request) -> None:
        self.asked.add(request.url.split("/")[2])


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., Look]]:
    """Opens an address in a window of its own; at the end no page may have complained or asked another host."""
    looks: list[tuple[str, Look]] = []

    def look(url: str, **window: Any) -> Look:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 1000}, **window})
        looks.append((url.split("/")[2], Look(context.new_page())))
        looks[-1][1].page.goto(url)
        return looks[-1][1]

    yield look
    for host, one in looks:
        one.page.context.close()
        # A server that is away is no fault of the page; the browser says so in its own words.
        assert [text for text in one.complaints if not (one.loses_its_server and "net::ERR_" in text)] == []
        assert one.asked == {host}


@pytest.fixture(scope="module")
def broker(_parts_loop: Any, make_broker: Callable[[Path], KafkaBroker], tmp_path_factory: Any) -> Iterator["Broker"]:
    """A Kafka broker that only the page's tests use."""
    one = Broker(make_broker(tmp_path_factory.mktemp("page-kafka")), _parts_loop)
    one.start()
    yield one
    one.stop()


class Broker:
    """A real broker that can be stopped and started again."""

    def __init__(self, broker: KafkaBroker, loop: Any) -> None:
        self._broker, self._loop = broker, loop
        self.settings: Settings = load_settings(kafka_bootstrap_servers=broker.address, partitions=3)

    def start(self) -> None:
        """Return when it serves."""
        self._loop.run(self._broker.start())

    def stop(self) -> None:
        """Return when it has ended."""
        self._loop.run(self._broker.stop())


class WebProcess:
    """`mts-stream web` as a process."""

    def __init__(self, settings: Settings, port: int = 0) -> None:
        env = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers}
        command = [sys.executable, "-m", "mts_stream.cli", "web", "--port", str(port), "--json"]
        self._process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = str(json.loads(self._process.stdout.readline())["web"])
        self.port = int(self.url.rpartition(":")[2])

    def stop(self) -> int:
        """End it as an operator does; returns its exit code."""
        self._process.terminate()
        return self._process.wait(20)


@pytest.fixture
def serve() -> Iterator[Callable[..., WebProcess]]:
    """Starts `mts-stream web`; what still runs in the end is stopped."""
    running: list[WebProcess] = []

    def serve(settings: Settings, port: int = 0) -> WebProcess:
        running.append(WebProcess(settings, port))
        return running[-1]

    yield serve
    for one in running:
        one.stop()


@pytest.fixture(scope="module")
def url(broker: Broker) -> Iterator[str]:
    """The address of a page that stays up for the whole module."""
    one = WebProcess(broker.settings)
    yield one.url
    assert one.stop() == 0
