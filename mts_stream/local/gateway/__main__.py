"""`python -m mts_stream.local.gateway --path P --port N`: serve one ClickHouse path on loopback until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from aiohttp import web

from mts_stream.errors import LocalPartError
from mts_stream.local.disk import disk_errors
from mts_stream.local.gateway.engine import MEMORY_BYTES_DEFAULT, Engine
from mts_stream.local.gateway.server import Server
from mts_stream.local.ports import HOST, port_in_use

DRAIN_TIMEOUT_S = 2.0  # twice this and once more at most: below what a parent waits before it kills
DRAIN_INTERVAL_S = 0.02


def main(arguments: list[str] | None = None) -> int:
    """Serve; 0 after SIGTERM or SIGINT, 1 with one line when it cannot."""
    options = _options(arguments)
    try:
        drained = _run(options)
    except LocalPartError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    if not drained:
        # A statement still runs in a thread that cannot be stopped; what it has not acknowledged is lost, no more.
        os._exit(0)
    return 0


def _run(options: argparse.Namespace) -> bool:
    """Serve; False when a statement still runs in a thread at the end."""
    path: Path = options.path
    scratch, backups = path.with_name(f"{path.name}.inserts"), path.with_name(f"{path.name}.backups")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    engine = Engine(path, backups, memory_bytes=options.memory_bytes)
    # The engine has the path for itself, so what lies there is of a gateway that was killed.
    shutil.rmtree(scratch, ignore_errors=True)
    with disk_errors(scratch):
        scratch.mkdir()
    server = Server(engine, scratch, options.instance)
    asyncio.run(_serve(server, engine, options.port))
    drained = not engine.busy
    if drained:
        server.close()
        engine.close()
    shutil.rmtree(scratch, ignore_errors=True)
    return drained


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mts_stream.local.gateway", description=__doc__)
    parser.add_argument("--path", type=Path, required=True, help="the directory of the tables")
    parser.add_argument("--port", type=int, required=True, help=f"the port on {HOST}")
    parser.add_argument("--memory-bytes", type=int, default=MEMORY_BYTES_DEFAULT, help="what all queries may use")
    parser.add_argument("--instance", default="", help="what /ping answers, for a parent to know it by")
    return parser.parse_args(arguments)


async def _serve(server: Server, engine: Engine, port: int) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    application = server.application()
    # The gateway unpacks bodies itself, with a bound, and answers what it cannot unpack in ClickHouse's words.
    runner = web.AppRunner(application, access_log=None, auto_decompress=False, shutdown_timeout=DRAIN_TIMEOUT_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, HOST, port).start()
        except OSError as error:
            raise LocalPartError(port_in_use(port, "ClickHouse", "--clickhouse-port")) from error
        await stop.wait()
    finally:
        await runner.cleanup()
        await _drain(engine)


async def _drain(engine: Engine) -> None:
    deadline = time.monotonic() + DRAIN_TIMEOUT_S
    while engine.busy and time.monotonic() < deadline:  # noqa: ASYNC110 (threads end it, and no loop is left to tell)
        await asyncio.sleep(DRAIN_INTERVAL_S)


if __name__ == "__main__":
    sys.exit(main())
