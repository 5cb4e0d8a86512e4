"""The ClickHouse gateway as a child process: started, ready, stopped."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from email import message_from_string
from pathlib import Path

from mts_stream.errors import LocalPartError
from mts_stream.local.disk import NO_SPACE_TEXT, no_space
from mts_stream.local.gateway.instance import INSTANCE_HEADER
from mts_stream.local.ports import HOST, free_ports
from mts_stream.local.process import ChildProcess

READY_TIMEOUT_S = 60.0
PROBE_INTERVAL_S = 0.05
PROBE_TIMEOUT_S = 2.0
ANSWER_BYTES_MAX = 4096
MODULE = "mts_stream.local.gateway"


class ClickHouseGateway:
    """The process that owns the tables in `directory` and answers ClickHouse's HTTP on `port`."""

    def __init__(
        self, directory: Path, *, log_path: Path, port: int | None = None, memory_bytes: int | None = None
    ) -> None:
        self._directory = directory
        self.port = port or free_ports(1)[0]
        self._instance = secrets.token_hex(8)
        command = [sys.executable, "-m", MODULE, "--path", str(directory), "--port", str(self.port)]
        command += ["--instance", self._instance]
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
        """Why it has ended, from its exit code and the last line that it wrote, or the signal."""
        signal_text = self.process.killed_text()
        if signal_text:
            return LocalPartError(f"{signal_text}: see {self.process.log_path}")
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
            if await _answering_instance(self.port) == self._instance:
                return
            if time.monotonic() > deadline:
                raise LocalPartError(f"ClickHouse did not answer on {self.url} in time: see {self.process.log_path}")
            await asyncio.sleep(PROBE_INTERVAL_S)
        raise self.explain_end()


async def _answering_instance(port: int) -> str | None:
    """Which gateway answers /ping on a port: another one may hold the port that ours is about to ask for."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(b"GET /ping HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
                answer = await reader.read(ANSWER_BYTES_MAX)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
    head = answer.partition(b"\r\n\r\n")[0].decode(errors="replace")
    return message_from_string(head.partition("\r\n")[2]).get(INSTANCE_HEADER)
