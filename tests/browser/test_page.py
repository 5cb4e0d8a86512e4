"""The live page as a person sees it: true results through a real Kafka, in headless Chromium."""

import re
import time

import pytest
from confluent_kafka.admin import AdminClient
from playwright.sync_api import Page, expect

from mts_stream.wire.kafka import client_config, create_topics, topic_partitions
from mts_stream.wire.topics import RESULT_TOPICS
from tests.browser.conftest import WAIT_MS, Broker
from tests.web import results
from tests.web.kafka_topics import send

S, MS = results.S, results.MS
WITH_UPDATES = 3
ESTIMATED = {
    "latency_corrected_p50_ms": "12.52", "latency_corrected_p99_ms": "40", "clock_offset_ms": "-1270.5",
    "clock_offset_error_ms": "6.25", "valid_percent": "99.5",
}  # fmt: skip

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]
expect.set_options(timeout=WAIT_MS)


@pytest.fixture
def topics(broker: Broker) -> None:
    """All topics, with what earlier tests sent."""
    create_topics(broker.settings)


@pytest.fixture
def no_topics(broker: Broker) -> None:
    """A broker without the result topics."""
    admin = AdminClient(client_config(broker.settings))
    standing = [name for name in RESULT_TOPICS if name in topic_partitions(broker.settings)]
    for future in admin.delete_topics(standing).values() if standing else ():
        future.result(20)
    deadline = time.monotonic() + 20
    while set(topic_partitions(broker.settings)) & set(RESULT_TOPICS):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def recent(pair: str, seconds: int = 5, ago_s: int = 0) -> list[results.Message]:
    """Windows of a pair whose last one ended `ago_s` ago."""
    return results.windows(pair, time.time_ns() - (seconds + ago_s) * S, seconds)


def life(pair: str, ago_ms: int = 0, ttl_ms: int = 60_000, index: int = WITH_UPDATES) -> list[results.Message]:
    """An opportunity that opened `ago_ms` ago, whose signals hold for `ttl_ms`."""
    messages = results.life(pair, time.time_ns() - ago_ms * MS, index)
    return [(t, value | {"expires_ns": value["event_time_ns"] + ttl_ms * MS}) for t, value in messages]


def rows(page: Page, table: str, text: str):
    """The rows of a table that hold a text."""
    return page.locator(f"#{table} tbody tr").filter(has_text=text)


def test_it_goes_from_no_topics_over_no_pairs_to_live(broker, no_topics, serve, look):
    """The page waits for Kafka's topics, says when there are no pairs, when data is old, and when it is live."""
    page = look(serve(broker.settings).url).page
    expect(page.locator("#banner")).to_contain_text("Kafka is not answering")
    expect(page.locator("#banner")).to_contain_text(f"Waiting for Kafka at {broker.settings.kafka_bootstrap_servers}")
    expect(page.locator("#status-text")).to_have_text("No Kafka")

    create_topics(broker.settings)
    expect(page.locator("#status-text")).to_have_text("No data yet")
    expect(page.locator("#directions-empty")).to_contain_text("No pairs yet")
    expect(page.locator("#banner")).to_be_hidden()

    send(broker.settings, recent("OLD-USDT", ago_s=60))
    expect(page.locator("#banner")).to_contain_text("No new windows.")
    expect(rows(page, "directions", "OLD-USDT")).to_have_count(6)
    expect(rows(page, "directions", "OLD-USDT").first).to_have_class(re.compile("stale"))

    send(broker.settings, recent("NEW-USDT"))
    expect(page.locator("#status-text")).to_contain_text("Live, data")
    expect(page.locator("#figure-pairs")).to_have_text("2")


def test_a_direction_shows_edge_nets_and_both_books(broker, topics, url, look):
    """A row has the newest window's edge and nets, a line of its history, and the state of each leg's book."""
    windows = recent("ROW-USDT", 8)
    ended = [value for _, value in windows if value["direction"] == "binance:perp>bybit:perp"][-1]
    send(broker.settings, [*windows, results.book("ROW-USDT", time.time_ns() - 59 * S, "gap", market="spot")])
    page = look(f"{url}/#pair=ROW-USDT").page
    row = rows(page, "directions", "Binance perp").filter(has_text="Bybit perp").first

    expect(row.locator(".c-pair")).to_have_text("ROW-USDT")
    expect(row.locator(".c-edge")).to_have_text(f"{float(ended['edge_close_bps']):.2f}".replace("-", "−"))
    expect(row.locator(".c-net10")).to_have_text(f"{float(ended['net_bps_10k']):.2f}".replace("-", "−"))
    expect(row.locator(".c-buy")).to_contain_text("book valid")
    expect(row.locator(".spark-line")).to_have_attribute("d", re.compile(r"^M.*L.*L"))
    expect(row.locator(".c-age")).to_have_text(re.compile(r"\d+(\.\d)? s"))
    expect(rows(page, "directions", "Binance spot gap")).not_to_have_count(0)


def test_an_open_opportunity_is_shown_and_marked_when_expired(broker, topics, url, look):
    """Open it has size, legs, net and a ticking age; past its expiry it stays, marked."""
    page = look(url).page
    expect(page.locator("#status-text")).not_to_have_text("Loading")
    opened = life("OPEN-USDT", ttl_ms=5000)[0]
    send(broker.settings, [opened])
    row = rows(page, "open", "OPEN-USDT")

    expect(row.locator(".c-state")).to_have_text("live")
    expect(row.locator(".c-net")).to_have_text(f"{float(opened[1]['net_usd']):.2f}")
    expect(row.locator(".c-size")).to_have_text(opened[1]["size"])
    expect(row.locator(".c-buy")).to_contain_text("Binance")
    first = row.locator(".c-age").inner_text()
    expect(row.locator(".c-age")).not_to_have_text(first)
    expect(page.locator("#announcer")).to_contain_text("OPEN-USDT opened, net")
    expect(row.locator(".c-state")).to_contain_text("expired")
    expect(row).to_have_class("expired")
    expect(page.locator("#figure-expired")).to_contain_text("expired")


def test_a_closed_opportunity_moves_to_the_recent_ones(broker, topics, url, look):
    """Closed it leaves the open ones and shows how long it lived, why it ended, its peak and what it outlived."""
    page = look(url).page
    events = life("SHUT-USDT")
    send(broker.settings, events[:-1])
    expect(rows(page, "open", "SHUT-USDT")).to_have_count(1)

    closed = events[-1][1]
    send(broker.settings, events[-1:])
    expect(rows(page, "open", "SHUT-USDT")).to_have_count(0)
    row = rows(page, "closed", "SHUT-USDT")
    lived_ms = closed["duration_ns"] / MS
    lived = f"{lived_ms / 1000:.2f} s" if lived_ms >= 1000 else f"{int(lived_ms)} ms"
    expect(row.locator(".c-lived")).to_contain_text(lived)
    expect(row.locator(".c-lived")).to_contain_text(closed["reason"].replace("_", " "))
    expect(row.locator(".c-peak")).to_contain_text(f"{float(closed['peak_net_usd']):.2f}")
    label = f"outlived {', '.join(map(str, closed['survived_ms']))} ms"
    expect(row.locator(".survival")).to_have_attribute("aria-label", label)


def test_the_filter_narrows_every_panel(broker, topics, url, look):
    """A part of a pair's name filters directions, opportunities and outcomes, and stays in the address."""
    one, other = recent("FILTERA-USDT", 4), recent("FILTERB-USDT", 7)
    send(broker.settings, one + other)
    send(broker.settings, life("FILTERA-USDT")[:1] + life("FILTERB-USDT")[:1])
    page = look(url).page
    page.locator("#filter").fill("filtera")
    total = sum(value["evaluations"] for _, value in one)

    expect(rows(page, "directions", "FILTERA")).to_have_count(6)
    expect(page.locator("#directions tbody tr")).to_have_count(6)
    expect(page.locator("#open tbody tr")).to_have_count(1)
    expect(page.locator("#outcomes-count")).to_have_text(f"{total:,} in the last minute")
    assert page.url.endswith("#pair=FILTERA")

    page.locator("#filter").fill("nothing like it")
    expect(page.locator("#directions-empty")).to_contain_text("No pair matches")


def test_sorting_works_by_keyboard(broker, topics, url, look):
    """A column's button sorts by it, highest first, then lowest; screen readers are told."""
    send(broker.settings, recent("SORT-USDT", 6))
    page = look(f"{url}/#pair=SORT-USDT").page
    expect(page.locator("#directions tbody tr")).to_have_count(6)
    head = page.get_by_role("columnheader", name="Edge bps").and_(page.locator("[data-sort]"))
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")
    edges = [float(text.replace("−", "-")) for text in page.locator("#directions .c-edge").all_inner_texts()]
    assert edges == sorted(edges, reverse=True)

    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")


def test_connections_and_funding_are_shown(broker, topics, url, look):
    """Each connection has its rate and delay, each leg its funding rate and the time to the next settlement.

    A delay is the one on the exchange's clock where that is estimated, and shown as an estimate.
    """
    page = look(url).page
    told = [results.connection("y-perp-9", time.time_ns()), results.connection("y-perp-8", time.time_ns(), **ESTIMATED)]
    send(broker.settings, [results.funding("FUND-USDT", time.time_ns()), *told])

    connection = rows(page, "connections", "y-perp-9")
    expect(connection.locator(".c-frames")).to_have_text("50")
    expect(connection.locator(".c-p99")).to_have_text("11.3")
    connection = rows(page, "connections", "y-perp-8")
    expect(connection.locator(".c-p50")).to_have_text("≈ 12.5")
    expect(connection.locator(".c-name")).to_contain_text("99.5 % valid, clock ≈ −1,270.5 ± 6.3 ms")
    funding = rows(page, "funding", "FUND-USDT")
    expect(funding.locator(".c-rate")).to_have_text("1.000")
    expect(funding.locator(".c-next")).to_have_text(re.compile(r"^[12] h \d\d m$"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_systems_theme_and_a_choice_of_ones_own(url, look, scheme):
    """Light or dark as the system says; the button overrules it, and the choice survives a reload."""
    page = look(url, color_scheme=scheme).page

    def bright() -> bool:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) > 384

    assert bright() == (scheme == "light")
    page.locator("#theme").click()
    expect(page.locator("#theme")).to_have_text("Theme: light")
    assert bright()
    page.locator("#theme").click()
    page.reload()
    expect(page.locator("#theme")).to_have_text("Theme: dark")
    assert not bright()


BEYOND = """(width) => [...document.querySelectorAll("body *")]
    .filter((node) => !node.closest(".hidden, .skip, svg") && node.checkVisibility())
    .filter((node) => getComputedStyle(node.closest("thead") ?? node).clipPath === "none")
    .filter((node) => {
      const panel = node.closest(".panel")?.getBoundingClientRect().right ?? width;
      return node.getBoundingClientRect().right > Math.min(panel, width) + 0.5;
    })
    .map((node) => node.outerHTML.slice(0, 120))"""


def test_nothing_scrolls_or_is_cut_sideways(broker, topics, url, look):
    """From a small phone up no visible element reaches beyond the window, with long names and bad books too."""
    pair, now_ns = "1000000PHONE-USDT", time.time_ns()
    books = [results.book(pair, now_ns - 59 * S, "disconnected", market=market) for market in ("perp", "spot")]
    others = [results.funding(pair, now_ns), results.connection("binance-perp-000-a", now_ns, **ESTIMATED), *books]
    send(broker.settings, recent(pair, 3) + life(pair)[:1] + life("PHONE-USDT", 9000) + others)
    page = look(url, viewport={"width": 320, "height": 800}).page
    expect(rows(page, "open", pair)).not_to_have_count(0)
    expect(rows(page, "closed", "PHONE")).not_to_have_count(0)
    expect(rows(page, "directions", "disconnected")).to_have_count(6)

    for width in (320, 375, 768, 900, 1024, 1280, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(BEYOND, width) == [], width


def test_data_is_only_ever_text(broker, topics, url, look):
    """A pair that is HTML is shown as what it is."""
    name = "<img src=x onerror=alert(1)>"
    page = look(url).page
    page.on("dialog", lambda dialog: pytest.fail(f"ran: {dialog.message}"))
    send(broker.settings, recent(name, 2) + life(name) + life(name, index=0)[:1])

    expect(page.locator("#directions").get_by_text(name).first).to_be_visible()
    expect(page.locator("#closed").get_by_text(name)).to_be_visible()
    expect(page.locator("#open").get_by_text(name)).to_be_visible()
    assert page.locator("img").count() == 0


def test_a_lost_server_is_said_and_found_again(broker, topics, serve, look):
    """When the server ends the page says that it is not live; when it is back the page goes on by itself."""
    server = serve(broker.settings)
    one = look(server.url)
    one.loses_its_server = True
    expect(one.page.locator("#status-text")).not_to_have_text("Loading")
    assert server.stop() == 0
    expect(one.page.locator("#banner")).to_contain_text("Connection to the server lost, trying again")
    expect(one.page.locator("#status-text")).to_have_text("Disconnected")

    again = serve(broker.settings, server.port)
    expect(one.page.locator("#status-text")).not_to_have_text("Disconnected")
    send(broker.settings, recent("BACK-USDT", 2))
    expect(rows(one.page, "directions", "BACK-USDT")).not_to_have_count(0)
    assert again.stop() == 0


def test_a_lost_kafka_is_said_and_found_again(broker, topics, url, look):
    """When Kafka ends the page says so and keeps what it knew; when Kafka is back so is the data."""
    send(broker.settings, recent("BEFORE-USDT", 2))
    page = look(url).page
    expect(rows(page, "directions", "BEFORE-USDT")).not_to_have_count(0)
    broker.stop()
    expect(page.locator("#banner")).to_contain_text("Kafka is not answering")
    expect(rows(page, "directions", "BEFORE-USDT")).not_to_have_count(0)

    broker.start()
    expect(page.locator("#banner")).not_to_contain_text("Kafka is not answering")
    send(broker.settings, recent("AFTER-USDT", 2))
    expect(rows(page, "directions", "AFTER-USDT")).not_to_have_count(0)
