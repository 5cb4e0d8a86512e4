"""Kafka and ClickHouse of one directory, as children of this process: started together, ended together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from mts_stream.errors import LocalPartError
from mts_stream.local.broker import KafkaBroker
from mts_stream.local.clickhouse import ClickHouseGateway
from mts_stream.local.directory import DataDirectory
from mts_stream.local.download_view import download_view
from mts_stream.local.jars import DownloadView, format_template, kafka_jars
from mts_stream.local.java import find_java
from mts_stream.local.ports import require_free
from mts_stream.local.process import ChildProcess

Report = Callable[[str], None]
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class PartsOptions:
    """What may be chosen; a port of None is a free one, a port that is given has to be free."""

    kafka_port: int | None = None
    clickhouse_port: int | None = None
    kafka_heap_mb: int = 512
    clickhouse_memory_bytes: int = 1_000_000_000


def _silent(_: str) -> None:
    """Report nothing."""


class LocalParts:
    """A Kafka broker and a ClickHouse gateway in `directory`: `async with LocalParts(directory) as parts`.

    `on_progress` gets one line for each step, from whatever thread; a download has its own bar in a terminal.
    """

    def __init__(
        self,
        directory: Path,
        options: PartsOptions | None = None,
        *,
        on_progress: Report = _silent,
        view: DownloadView | None = None,
    ) -> None:
        self.directory = DataDirectory(directory)
        self._options = options or PartsOptions()
        self._report = on_progress
        self._view = view or download_view(on_progress)
        self._broker: KafkaBroker | None = None
        self._gateway: ClickHouseGateway | None = None

    @property
    def kafka(self) -> str:
        """`host:port` of the broker."""
        return self._running_broker().address

    @property
    def clickhouse(self) -> str:
        """The gateway's URL."""
        return self._running_gateway().url

    @property
    def pids(self) -> dict[str, int]:
        """The process ids by part."""
        return {"kafka": self._running_broker().process.pid, "clickhouse": self._running_gateway().process.pid}

    @property
    def processes(self) -> list[ChildProcess]:
        """The child processes that were started so far."""
        return [part.process for part in (self._broker, self._gateway) if part is not None]

    async def start(self) -> None:
        """Return when both serve; `LocalPartError` when one cannot, and then nothing is left running."""
        options = self._options
        if options.kafka_port:
            require_free(options.kafka_port, "Kafka", "--kafka-port")
        if options.clickhouse_port:
            require_free(options.clickhouse_port, "ClickHouse", "--clickhouse-port")
        self.directory.acquire()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._start_broker())
                group.create_task(self._start_gateway())
            self.directory.publish(self.pids, kafka=self.kafka, clickhouse=self.clickhouse)
        except BaseExceptionGroup as errors:
            await self.stop()
            raise _first_of(errors) from errors
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End both, each within a bound, and give the directory back."""
        parts = [part for part in (self._broker, self._gateway) if part is not None]
        try:
            await asyncio.gather(*(part.stop() for part in parts))
        finally:
            self.directory.release()

    async def failed(self) -> LocalPartError:
        """Wait until one of them ends unasked, and say why."""
        broker, gateway = self._running_broker(), self._running_gateway()
        waits = {asyncio.ensure_future(part.process.wait()) for part in (broker, gateway)}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return gateway.explain_end() if broker.process.running else broker.explain_end()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.stop()

    async def _start_broker(self) -> None:
        java = await asyncio.to_thread(find_java)
        jars = await _in_thread(lambda cancelled: kafka_jars(self._view, cancelled=cancelled))
        self._report("starting Kafka")
        self._broker = KafkaBroker(
            self.directory.kafka,
            java=java,
            jars=jars,
            log_path=self.directory.logs / "kafka.log",
            port=self._options.kafka_port,
            heap_mb=self._options.kafka_heap_mb,
            template=format_template(),
        )
        await self._broker.start()
        self._report(f"Kafka serves on {self._broker.address}")

    async def _start_gateway(self) -> None:
        self._report("starting ClickHouse")
        self._gateway = ClickHouseGateway(
            self.directory.clickhouse,
            log_path=self.directory.logs / "clickhouse.log",
            port=self._options.clickhouse_port,
            memory_bytes=self._options.clickhouse_memory_bytes,
        )
        await self._gateway.start()
        self._report(f"ClickHouse serves on {self._gateway.url}")

    def _running_broker(self) -> KafkaBroker:
        if self._broker is None:
            raise LocalPartError("Kafka was never started")
        return self._broker

    def _running_gateway(self) -> ClickHouseGateway:
        if self._gateway is None:
            raise LocalPartError("ClickHouse was never started")
        return self._gateway


async def _in_thread(work: Callable[[threading.Event], Value]) -> Value:
    """Run blocking work that gives up when the event is set, which a cancellation of the caller does."""
    cancelled = threading.Event()
    task = asyncio.ensure_future(asyncio.to_thread(work, cancelled))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        cancelled.set()
        with suppress(Exception):
            await task
        raise


def _first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error to show of those that several tasks raised: a user's one before any other."""
    found, _ = errors.split(LocalPartError)
    first: BaseException = found or errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
