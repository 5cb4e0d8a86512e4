"""An Apache Kafka broker as a child process: prepared in a directory, started, ready, stopped."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from mts_stream.errors import LocalPartError
from mts_stream.local.broker_config import log4j_properties, meta_properties, new_id, server_properties
from mts_stream.local.disk import NO_SPACE_TEXT, disk_errors, no_space
from mts_stream.local.kafka_probe import ask_cluster
from mts_stream.local.ports import HOST, free_ports, port_in_use
from mts_stream.local.process import ChildProcess, read_since

READY_TIMEOUT_S = 60.0
PROBE_INTERVAL_S = 0.05
FORMAT_TIMEOUT_S = 60.0
META_FILE, CHECKPOINT_FILE = "meta.properties", "bootstrap.checkpoint"
# The first compiler alone: 0.2 s sooner ready, less memory, and it leaves the second core to others.
JVM_FLAGS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.awt.headless=true")


class KafkaBroker:
    """One node with its files in `directory` and its log at `log_path`; a directory used before is taken up again."""

    def __init__(
        self,
        directory: Path,
        *,
        java: Path,
        jars: Sequence[Path],
        log_path: Path,
        port: int | None = None,
        heap_mb: int = 512,
        template: Path | None = None,
    ) -> None:
        self._directory = directory
        self._java = java
        self._classpath = os.pathsep.join(map(str, jars))
        self._log_path = log_path
        self._heap_mb = heap_mb
        self._template = template
        self._log_start = 0
        free_port, self._controller_port = free_ports(2)
        self.port = port or free_port
        self.process = ChildProcess("Kafka", self._command(), log_path=log_path.with_suffix(".out"))

    @property
    def address(self) -> str:
        """`host:port` for `bootstrap.servers`."""
        return f"{HOST}:{self.port}"

    async def start(self) -> None:
        """Return when the broker serves metadata; `LocalPartError` when it cannot."""
        await self.prepare()
        self._log_start = self._log_path.stat().st_size if self._log_path.exists() else 0
        await self.process.start()
        try:
            await self._wait_ready()
        except BaseException:
            await self.process.stop()
            raise

    async def prepare(self) -> None:
        """Write the configuration, and format a directory that is new; a part of `start`."""
        with disk_errors(self._directory):
            self._write_files()
        if not self._is_formatted():
            await self._format()

    async def stop(self) -> None:
        """End the broker; its data stays."""
        await self.process.stop()

    def explain_end(self) -> LocalPartError:
        """Why the broker has ended, from its exit code and what it has logged since its start, or the signal."""
        signal_text = self.process.killed_text()
        if signal_text:
            return LocalPartError(f"{signal_text}: see {self._log_path}")
        text = self.process.log_tail() + read_since(self._log_path, self._log_start)
        if NO_SPACE_TEXT in text:
            return LocalPartError(no_space(self._directory))
        if "Address already in use" in text:
            return LocalPartError(port_in_use(self.port, "Kafka", "--kafka-port"))
        if "Failed to acquire lock" in text:
            return LocalPartError(
                f"Kafka cannot use {self._data}: another broker does; end it or choose another --data"
            )
        return LocalPartError(
            f"Kafka ended with code {self.process.exit_code} ({_last_error(text)}): see {self._log_path}"
        )

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def _command(self) -> list[str]:
        return [*self._jvm(self._heap_mb), "kafka.Kafka", str(self._directory / "server.properties")]

    def _jvm(self, heap_mb: int) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self._directory / 'log4j2.properties'}"
        return [str(self._java), f"-Xmx{heap_mb}m", *JVM_FLAGS, logging, "-cp", self._classpath]

    def _is_formatted(self) -> bool:
        return (self._data / META_FILE).exists()

    def _write_files(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        server = server_properties(self._data, self.port, self._controller_port)
        (self._directory / "server.properties").write_text(server)
        (self._directory / "log4j2.properties").write_text(log4j_properties(self._log_path))

    async def _format(self) -> None:
        """Prepare the directory as Kafka's own tool does, from what the tool once made if that was kept (1 s less)."""
        if self._template is None:
            await self._run_format_tool()
            return
        with disk_errors(self._data):
            if self._template.exists():
                shutil.copyfile(self._template, self._data / CHECKPOINT_FILE)
                # The last file written: with it the directory counts as formatted.
                (self._data / META_FILE).write_text(meta_properties(new_id(), new_id()))
                return
        await self._run_format_tool()
        with disk_errors(self._template):
            unfinished = self._template.with_suffix(f".{os.getpid()}")
            shutil.copyfile(self._data / CHECKPOINT_FILE, unfinished)
            unfinished.replace(self._template)

    async def _run_format_tool(self) -> None:
        tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", f"--cluster-id={new_id()}"]
        command = [*self._jvm(128), *tool, "--config", str(self._directory / "server.properties")]
        formatter = ChildProcess("Kafka's format tool", command, log_path=self.process.log_path)
        await formatter.start()
        try:
            code = await asyncio.wait_for(formatter.wait(), FORMAT_TIMEOUT_S)
        except TimeoutError:
            code = -1
        finally:
            await formatter.stop()
        if code != 0:
            text = formatter.log_tail()
            if NO_SPACE_TEXT in text:
                raise LocalPartError(no_space(self._directory))
            raise LocalPartError(
                f"Kafka's directory {self._data} could not be prepared ({_last_error(text)}): see {formatter.log_path}"
            )

    async def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        cluster_id = self._cluster_id()
        while self.process.running:
            answer = await ask_cluster(self.port)
            # Another broker may hold the port that ours is about to ask for.
            if answer is not None and answer.broker_count > 0 and answer.cluster_id == cluster_id:
                return
            if time.monotonic() > deadline:
                raise LocalPartError(
                    f"Kafka did not answer on {self.address} within {READY_TIMEOUT_S:.0f} s: see {self._log_path}"
                )
            await asyncio.sleep(PROBE_INTERVAL_S)
        raise self.explain_end()

    def _cluster_id(self) -> str:
        """The id that the directory was formatted with: no other broker answers with it."""
        lines = (self._data / META_FILE).read_text().splitlines()
        return next((line.partition("=")[2].strip() for line in lines if line.startswith("cluster.id=")), "")


def _last_error(text: str) -> str:
    """The last line that looks like an error, shortened to fit one line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line or "FATAL" in line or "Exception" in line or "Error" in line]
    return (errors or lines or ["it wrote nothing"])[-1][:300]
