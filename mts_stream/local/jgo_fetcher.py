"""Fetching a Maven artifact with `jgo`, in pure Python and without Maven; the only importer of `jgo`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.maven import MavenContext, PythonResolver

from mts_stream.local.fetching import DOWNLOAD_TIMEOUT_S, Advance


class JgoFetcher:
    """Downloads artifacts into `repository`, from the repositories of the user's jgo configuration if there is one."""

    def __init__(self, repository: Path, remote_repositories: dict[str, str] | None = None) -> None:
        configured = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
        self._remotes = configured if remote_repositories is None else remote_repositories
        self._repository = repository

    @property
    def origin(self) -> str:
        """The addresses of the remote repositories."""
        return ", ".join(self._remotes.values())

    def fetch(self, coordinate: str, advance: Advance) -> Path:
        """Download one artifact; `OSError` or `RuntimeError` when no repository gives it."""

        @contextmanager
        def progress(_filename: str, _total: int) -> Iterator[Advance]:
            yield advance

        context = MavenContext(
            # A resolver of its own for each call: the progress callback belongs to one file.
            resolver=PythonResolver(progress_callback=progress),
            repo_cache=self._repository,
            remote_repos=self._remotes,
            timeout=DOWNLOAD_TIMEOUT_S,
        )
        return Path(context.create_dependency(f"{coordinate}!").artifact.resolve())
