"""The broker's jars: fetched once with `jgo` into the user's cache, checked by SHA-256, found there ever after.

The cache has the layout of a Maven repository. A file `.complete` is written last, so a download that was cut off
is taken up again at the next start: what is whole is kept, what is not is fetched anew.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from mts_stream.errors import LocalPartError
from mts_stream.local.disk import disk_errors
from mts_stream.local.extra import missing_extra
from mts_stream.local.fetching import Advance, Fetcher
from mts_stream.local.jars_lock import KAFKA_JARS, KAFKA_JARS_BYTES, KAFKA_VERSION

DOWNLOAD_THREADS = 6
DOWNLOAD_ATTEMPTS = 3
DOWNLOAD_PAUSE_S = 1.0
CACHE_REMEDY = "or choose another directory with XDG_CACHE_HOME"


class DownloadView(Protocol):
    """Shows a download to a person."""

    def begin(self, title: str, total_bytes: int) -> None:
        """Say what is coming."""

    def advance(self, size_bytes: int) -> None:
        """`size_bytes` more have arrived; called from several threads."""

    def end(self) -> None:
        """All is there, or the download failed."""


class DownloadCancelledError(Exception):
    """The download was given up on request."""


def kafka_jars(
    view: DownloadView,
    *,
    cache: Path | None = None,
    make_fetcher: Callable[[Path], Fetcher] | None = None,
    cancelled: threading.Event | None = None,
) -> list[Path]:
    """The paths of all jars of the broker, downloaded first where the cache lacks them; blocks."""
    repository = (cache or cache_dir()) / f"kafka-{KAFKA_VERSION}"
    paths = {coordinate: jar_path(repository, coordinate) for coordinate in KAFKA_JARS}
    if not _is_complete(repository, paths):
        with disk_errors(repository, CACHE_REMEDY), _exclusive(repository):
            if not _is_complete(repository, paths):
                fetcher = (make_fetcher or _jgo_fetcher)(repository)
                _download(paths, fetcher, view, cancelled or threading.Event())
                (repository / ".complete").touch()
    return list(paths.values())


def cache_dir() -> Path:
    """The directory of everything that can be fetched again: `mts-stream` in XDG_CACHE_HOME or in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mts-stream"


def format_template(cache: Path | None = None) -> Path:
    """Where the file is kept that a first format of a broker's directory made, for the next ones."""
    return (cache or cache_dir()) / f"kafka-{KAFKA_VERSION}" / "bootstrap.checkpoint"


def jar_path(repository: Path, coordinate: str) -> Path:
    """Where the jar of `group:artifact:version` stands in a Maven repository."""
    group, artifact, version = coordinate.split(":")
    return repository.joinpath(*group.split("."), artifact, version, f"{artifact}-{version}.jar")


def _is_complete(repository: Path, paths: dict[str, Path]) -> bool:
    return (repository / ".complete").exists() and all(path.exists() for path in paths.values())


@contextmanager
def _exclusive(repository: Path) -> Iterator[None]:
    """Wait until no other process downloads into `repository`."""
    repository.mkdir(parents=True, exist_ok=True)
    with (repository / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(paths: dict[str, Path], fetcher: Fetcher, view: DownloadView, cancelled: threading.Event) -> None:
    def advance(size_bytes: int) -> None:
        if cancelled.is_set():
            raise DownloadCancelledError
        view.advance(size_bytes)

    view.begin(f"Apache Kafka {KAFKA_VERSION}", KAFKA_JARS_BYTES)
    pool = ThreadPoolExecutor(DOWNLOAD_THREADS, "jars")
    try:
        tasks = [pool.submit(_provide, coordinate, path, fetcher, advance) for coordinate, path in paths.items()]
        for task in as_completed(tasks):
            task.result()
    except BaseException:
        cancelled.set()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        view.end()


def _provide(coordinate: str, path: Path, fetcher: Fetcher, advance: Advance) -> None:
    """Leave the right bytes at `path`, or raise."""
    if path.exists() and _sha256(path) == KAFKA_JARS[coordinate]:
        advance(path.stat().st_size)
        return
    for attempt in range(1, DOWNLOAD_ATTEMPTS + 1):
        path.unlink(missing_ok=True)
        try:
            fetched = fetcher.fetch(coordinate, advance)
            break
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors, jgo's own RuntimeErrors
            if attempt == DOWNLOAD_ATTEMPTS or _is_disk_error(error):
                path.unlink(missing_ok=True)
                raise _translated(error, coordinate, fetcher) from error
            time.sleep(DOWNLOAD_PAUSE_S * attempt)
    if _sha256(fetched) != KAFKA_JARS[coordinate]:
        fetched.unlink()
        raise LocalPartError(
            f"{coordinate} from {fetcher.origin} is not what was pinned (its SHA-256 differs): "
            "try again; if it stays so, ask who runs the network or the mirror"
        )


def _is_disk_error(error: BaseException) -> bool:
    """Whether the operating system refused a file, and not the network a connection."""
    # Network errors are OSErrors too, but of no file.
    return isinstance(error, OSError) and (error.filename is not None or error.errno in (errno.ENOSPC, errno.EDQUOT))


def _translated(error: BaseException, coordinate: str, fetcher: Fetcher) -> BaseException:
    if _is_disk_error(error):
        return error
    return LocalPartError(
        f"cannot download {coordinate} from {fetcher.origin} ({_first_line(error)}): check the network or the proxy "
        "settings, then try again; what has arrived is kept"
    )


def _first_line(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0][:200]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _jgo_fetcher(repository: Path) -> Fetcher:
    try:
        from mts_stream.local.jgo_fetcher import JgoFetcher
    except ImportError as error:
        raise missing_extra(error.name or "jgo") from error
    return JgoFetcher(repository)
