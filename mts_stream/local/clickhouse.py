"""The ClickHouse gateway as a child process: started, ready, stopped."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from mts_stream.errors import LocalPartError
from mts_stream.local.disk import NO_SPACE_TEXT, no_space
from mts_stream.local.ports import HOST, free_ports
from mts_stream.local.process import ChildProcess

READY_TIMEOUT_S = 60.0
PROBE_INTERVAL_S = 0.05
PROBE_TIMEOUT_S = 2.0
MODULE = "mts_stream.local.gateway"


class ClickHouseGateway:
    """The process that owns the tables in `directory` and answers ClickHouse's HTTP on `port`."""

    def __init__(
        self, directory: Path, *, log_path: Path, port: int | None = None, memory_bytes: int | None = None
    ) -> None:
        self._directory = directory
        self.port = port or free_ports(1)[0]
        command = [sys.executable, "-m", MODULE, "--path", str(directory), "--port", str(self.port)]
        if memory_bytes is not None:
            command += ["--memory-bytes", str(memory_bytes)]
        self.process = ChildProcess("ClickHouse", command, log_path=log_path)

    @property
    def url(self) -> str:
        """The address for `CLICKHOUSE_URL`."""
        return f"http://{HOST}:{self.port}"

    async def start(self) -> None:
        """Return when it answers; `LocalPartError` when it cannot."""
        await self.process.start()
        try:
            await self._wait_ready()
        except BaseException:
            await self.process.stop()
            raise

    async def stop(self) -> None:
        """End it; its tables stay."""
        await self.process.stop()

    def explain_end(self) -> LocalPartError:
        """Why it has ended, from its exit code and the last line that it wrote."""
        lines = [line.strip() for line in self.process.log_tail().splitlines() if line.strip()]
        if any(NO_SPACE_TEXT in line for line in lines[-20:]):
            return LocalPartError(no_space(self._directory))
        last = lines[-1][:400] if lines else "it wrote nothing"
        if self.process.exit_code == LocalPartError.exit_code and last.startswith("ClickHouse"):
            return LocalPartError(last)
        code, log_path = self.process.exit_code, self.process.log_path
        return LocalPartError(f"ClickHouse ended with code {code} ({last}): see {log_path}")

    async def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while self.process.running:
            if await _answers_ping(self.port) and self.process.running:
                return
            if time.monotonic() > deadline:
                raise LocalPartError(f"ClickHouse did not answer on {self.url} in time: see {self.process.log_path}")
            await asyncio.sleep(PROBE_INTERVAL_S)
        raise self.explain_end()


async def _answers_ping(port: int) -> bool:
    """Whether the gateway, which opens its port when its engine serves, answers /ping."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(b"GET /ping HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
                return (await reader.read(4096)).startswith((b"HTTP/1.0 200", b"HTTP/1.1 200"))
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
