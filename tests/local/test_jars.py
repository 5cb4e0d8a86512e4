"""The cache of the broker's jars: fetched once, whole, the pinned bytes, and taken up again after a break."""

import errno
import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from mts_stream.errors import LocalPartError
from mts_stream.local import jars
from mts_stream.local.download_view import LineView, download_view
from mts_stream.local.jars import Advance, DownloadCancelledError, cache_dir, jar_path, kafka_jars
from mts_stream.local.jars_lock import KAFKA_JARS, KAFKA_JARS_BYTES, KAFKA_VERSION
from mts_stream.local.jgo_fetcher import JgoFetcher

CONTENT = {"org.one:alpha:1.0": b"alpha" * 100, "org.two:beta:2.0": b"beta" * 100, "three:gamma:3": b"gamma" * 100}


class FakeFetcher:
    """Writes the content that was given, and counts; `broken` coordinates fail as they are told to."""

    origin = "http://registry.test"

    def __init__(
        self, repository: Path, content: dict[str, bytes], broken: dict[str, list[Exception]] | None = None
    ) -> None:
        self.repository, self.content, self.broken = repository, content, broken or {}
        self.fetched: list[str] = []

    def fetch(self, coordinate: str, advance: Advance) -> Path:
        """Write the jar, or half of it and fail."""
        self.fetched.append(coordinate)
        path = jar_path(self.repository, coordinate)
        path.parent.mkdir(parents=True, exist_ok=True)
        failures = self.broken.get(coordinate, [])
        if failures:
            path.write_bytes(self.content[coordinate][:10])
            raise failures.pop(0)
        path.write_bytes(self.content[coordinate])
        advance(len(self.content[coordinate]))
        return path


@pytest.fixture(autouse=True)
def _three_jars(monkeypatch: pytest.MonkeyPatch) -> None:
    pins = {coordinate: hashlib.sha256(data).hexdigest() for coordinate, data in CONTENT.items()}
    monkeypatch.setattr(jars, "KAFKA_JARS", pins)
    monkeypatch.setattr(jars, "KAFKA_JARS_BYTES", sum(map(len, CONTENT.values())))
    monkeypatch.setattr(jars, "DOWNLOAD_PAUSE_S", 0.0)


def fetch_all(cache: Path, fetcher: FakeFetcher, lines: list[str] | None = None) -> list[Path]:
    """Run the download with a fetcher of our own."""
    view = LineView((lines if lines is not None else []).append)
    return kafka_jars(view, cache=cache, make_fetcher=lambda _: fetcher)


def fake(cache: Path, broken: dict[str, list[Exception]] | None = None) -> FakeFetcher:
    """A fetcher into the cache."""
    return FakeFetcher(cache / f"kafka-{KAFKA_VERSION}", CONTENT, broken)


def test_a_first_download_fetches_all_and_a_second_none(tmp_path: Path) -> None:
    """The second start finds everything in the cache and says nothing."""
    first, second = fake(tmp_path), fake(tmp_path)
    lines: list[str] = []
    paths = fetch_all(tmp_path, first, lines)
    said = len(lines)

    assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    assert fetch_all(tmp_path, second, lines) == paths
    assert (sorted(first.fetched), second.fetched, len(lines)) == (sorted(CONTENT), [], said)


def test_a_download_that_was_cut_off_is_taken_up_again(tmp_path: Path) -> None:
    """What is whole is kept; a half file, and one whose bytes are wrong, are fetched anew."""
    fetch_all(tmp_path, fake(tmp_path))
    repository = tmp_path / f"kafka-{KAFKA_VERSION}"
    (repository / ".complete").unlink()
    jar_path(repository, "org.one:alpha:1.0").write_bytes(b"alph")
    again = fake(tmp_path)
    paths = fetch_all(tmp_path, again)

    assert again.fetched == ["org.one:alpha:1.0"]
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())


def test_a_jar_that_was_deleted_comes_back(tmp_path: Path) -> None:
    """A complete cache from which a file was taken is repaired."""
    paths = fetch_all(tmp_path, fake(tmp_path))
    paths[0].unlink()
    fetch_all(tmp_path, fake(tmp_path))

    assert paths[0].exists()


def test_a_passing_failure_is_tried_again(tmp_path: Path) -> None:
    """Two failures of the network in a row are survived."""
    broken: dict[str, list[Exception]] = {"org.two:beta:2.0": [ConnectionError("reset"), RuntimeError("503")]}

    assert len(fetch_all(tmp_path, fake(tmp_path, broken))) == 3


def test_an_unreachable_registry_is_told_in_one_line(tmp_path: Path) -> None:
    """The line says what, from where, why, and what to do; the half file is gone."""
    broken: dict[str, list[Exception]] = {"org.two:beta:2.0": [ConnectionError("no route\nto host")] * 9}
    with pytest.raises(LocalPartError) as failure:
        fetch_all(tmp_path, fake(tmp_path, broken))

    assert re.search(r"org.two:beta:2.0 from http://registry.test \(no route\).*check the network", str(failure.value))
    assert "\n" not in str(failure.value)
    assert not jar_path(tmp_path / f"kafka-{KAFKA_VERSION}", "org.two:beta:2.0").exists()


def test_a_full_disk_is_told_in_one_line(tmp_path: Path) -> None:
    """No space in the cache: the line names the cache and XDG_CACHE_HOME."""
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(LocalPartError, match=r"no space left on the disk of .*XDG_CACHE_HOME"):
        fetch_all(tmp_path, fake(tmp_path, {"three:gamma:3": [full]}))


def test_other_bytes_than_the_pinned_are_refused(tmp_path: Path) -> None:
    """A jar that a mirror changed is not used, and not kept."""
    changed = FakeFetcher(tmp_path / f"kafka-{KAFKA_VERSION}", {**CONTENT, "three:gamma:3": b"evil"})
    with pytest.raises(LocalPartError, match=r"three:gamma:3 .*is not what was pinned"):
        fetch_all(tmp_path, changed)

    assert not jar_path(changed.repository, "three:gamma:3").exists()


def test_a_download_can_be_given_up(tmp_path: Path) -> None:
    """Ctrl-C during a download ends it at the next piece that arrives."""
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(DownloadCancelledError):
        kafka_jars(LineView(print), cache=tmp_path, make_fetcher=lambda _: fake(tmp_path), cancelled=cancelled)


def test_two_processes_download_once(tmp_path: Path) -> None:
    """Whoever comes second waits for the first and finds all there."""
    fetchers = [fake(tmp_path), fake(tmp_path)]
    threads = [threading.Thread(target=fetch_all, args=(tmp_path, fetcher)) for fetcher in fetchers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(fetchers[0].fetched + fetchers[1].fetched) == sorted(CONTENT)


def test_the_cache_is_where_xdg_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """XDG_CACHE_HOME moves it; without it, it is below ~/.cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "mts-stream"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "mts-stream"


def test_lines_are_few_and_calm() -> None:
    """A download says its beginning, its quarters and its end."""
    lines: list[str] = []
    view = LineView(lines.append, monotonic=iter([0.0, 12.0]).__next__)
    view.begin("Apache Kafka", 44_000_000)
    for _ in range(440):
        view.advance(100_000)
    view.end()

    assert lines == [
        "downloading Apache Kafka (44 MB, once)",
        "downloading Apache Kafka: 25 %",
        "downloading Apache Kafka: 50 %",
        "downloading Apache Kafka: 75 %",
        "downloaded Apache Kafka in 12 s",
    ]


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a bar is drawn, and nothing is said by lines."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    lines: list[str] = []
    view = download_view(lines.append)
    view.begin("Apache Kafka", 100)
    view.advance(50)
    view.end()

    assert lines == []


def test_the_pins_are_whole() -> None:
    """Every pin is a coordinate with a SHA-256, and all Kafka jars are of one version."""
    versions = {name.split(":")[2] for name in KAFKA_JARS if name.startswith("org.apache.kafka:")}

    assert versions == {KAFKA_VERSION}
    assert all(len(name.split(":")) == 3 and re.fullmatch(r"[0-9a-f]{64}", pin) for name, pin in KAFKA_JARS.items())
    assert KAFKA_JARS_BYTES > 40_000_000


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """A Maven repository on loopback with the three jars."""
    root = tmp_path / "registry"
    for coordinate, data in CONTENT.items():
        path = jar_path(root, coordinate)
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        path.with_suffix(".jar.sha1").write_text(hashlib.sha1(data).hexdigest())
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_jgo_fetches_from_a_real_repository(tmp_path: Path, registry: str) -> None:
    """The jars arrive over HTTP with their progress, and stand where the cache expects them."""
    sizes: list[int] = []
    repository = tmp_path / "cache" / f"kafka-{KAFKA_VERSION}"
    path = JgoFetcher(repository, {"test": registry}).fetch("org.one:alpha:1.0", sizes.append)
    view = LineView(print)
    all_paths = kafka_jars(view, cache=tmp_path / "cache", make_fetcher=lambda it: JgoFetcher(it, {"test": registry}))

    assert path == jar_path(repository, "org.one:alpha:1.0")
    assert sum(sizes) == path.stat().st_size == 500
    assert [each.read_bytes() for each in all_paths] == list(CONTENT.values())


def test_jgo_without_a_repository_is_told_in_one_line(tmp_path: Path) -> None:
    """Nothing listens there: the error names the artifact and the address."""
    with pytest.raises(LocalPartError, match=r"cannot download .* from http://127\.0\.0\.1:1 \(.*check the network"):
        kafka_jars(LineView(print), cache=tmp_path, make_fetcher=lambda it: JgoFetcher(it, {"x": "http://127.0.0.1:1"}))
