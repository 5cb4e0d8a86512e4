"""All processes of a demo: Kafka and ClickHouse, then producers, worker, sink and page; started, watched, ended."""

import asyncio
import os
from pathlib import Path

from mts_stream.local.demo.children import Watched, commands, stop_all
from mts_stream.local.demo.options import (
    Addresses,
    DemoOptions,
    part_environment,
    ports_wanted,
    settings_of,
    worker_environment,
)  # fmt: skip
from mts_stream.local.demo.threads import in_thread
from mts_stream.local.demo.timeline import Timeline
from mts_stream.local.demo.truth import TruthFiles
from mts_stream.local.parts import LocalParts
from mts_stream.local.ports import free_ports
from mts_stream.local.process import ChildProcess
from mts_stream.settings import Settings
from mts_stream.wire.kafka import create_topics
from mts_stream.wire.topics import RAW

CHILDREN_STOP_S = 5.0
LOCAL_STOP_S = 5.0
HURRIED_STOP_S = 1.5
"""Each of the two rounds has this long when somebody waits for the end."""
AT_ONCE_S = 0.05
"""Not 0: then the stop would be given up before it has begun."""


class DemoParts:
    """Knows every process of one demo.

    `settings` are those that its parts have in force; `is_new` says that the raw topic was created by this run.
    """

    settings: Settings
    addresses: Addresses

    def __init__(self, options: DemoOptions, directory: Path, timeline: Timeline) -> None:
        self.options = options
        self.directory = directory
        self.truth = TruthFiles.within(directory)
        self.watched = Watched()
        self.is_new = False
        self._timeline = timeline
        self._local = LocalParts(directory, on_progress=timeline.note)
        self._children: dict[str, ChildProcess] = {}

    async def start_local(self) -> None:
        """Kafka and ClickHouse, and the topics; raises LocalPartError, SettingsError."""
        wanted = ports_wanted()
        free = iter(free_ports(len(wanted) + self.options.workers - 1))
        ports = {name: port or next(free) for name, port in wanted.items()}
        await self._local.start()
        self.watched.add_local(self._local)
        self.addresses = Addresses(self._local.kafka, self._local.clickhouse, ports, tuple(free))
        self._environment = part_environment(self.addresses, self.directory, os.environ, self.options.faults)
        self.settings = settings_of(self._environment)
        self._timeline.mark("local_parts", "Kafka and ClickHouse answer")
        self.is_new = RAW in await in_thread(create_topics, self.settings)
        self._timeline.mark("topics")

    async def start_children(self) -> None:
        """All children, side by side."""
        self.truth.control.unlink(missing_ok=True)  # an earlier run's simulator is gone
        workers = self.addresses.workers
        self.watched.workers = set(workers)
        for name, command in commands(self.options, self.addresses.ports, self.truth, workers).items():
            log = self.directory / "logs" / f"{name}.log"
            own = (
                worker_environment(name, workers[name], self.directory) if len(workers) > 1 and name in workers else {}
            )
            self._children[name] = ChildProcess(name, command, log_path=log, env=self._environment | own)
        await asyncio.gather(*(child.start() for child in self._children.values()))
        for child in self._children.values():
            self.watched.add(child)
        self._timeline.mark("children")

    def child(self, name: str) -> ChildProcess:
        """One of the children that were started."""
        return self._children[name]

    async def stop_producers(self, timeout_s: float) -> int | None:
        """End the producers, which flush; gives their exit code."""
        self.watched.forgive("producers")
        producers = self._children["producers"]
        producers.stop_timeout_s = timeout_s
        return await producers.stop()

    async def stop_children(self, hurried: bool) -> None:
        """End worker, sink and page, and the producers if they still run."""
        self.watched.forgive(*self._children)
        await stop_all(list(self._children.values()), HURRIED_STOP_S if hurried else CHILDREN_STOP_S)

    async def stop(self, hurried: bool) -> None:
        """End everything that still runs, children before what they need."""
        self.watched.forgive_all()
        try:
            await self.stop_children(hurried)
        finally:
            await self._stop_local(HURRIED_STOP_S if hurried else LOCAL_STOP_S)

    async def kill(self) -> None:
        """End everything at once."""
        self.watched.forgive_all()
        await stop_all(list(self._children.values()), AT_ONCE_S)
        await self._stop_local(AT_ONCE_S)

    async def _stop_local(self, timeout_s: float) -> None:
        try:
            await asyncio.wait_for(self._local.stop(), timeout_s)
        except TimeoutError:
            await self._local.stop()  # given up in the middle it has killed them; this only waits for their end
