"""`python -m mts_stream.local.supervisor`: keeps the local parts of one directory running until SIGTERM.

`mts-stream local up` leaves it behind; the parts are its children and end with it, however it ends.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from mts_stream.errors import LocalPartError, MtsError
from mts_stream.local.parts import LocalParts, PartsOptions


def main(arguments: list[str] | None = None) -> int:
    """Run the parts; 0 after SIGTERM or SIGINT, 1 with one line when one cannot start or ends unasked."""
    options = _options(arguments)
    ports = PartsOptions(kafka_port=options.kafka_port, clickhouse_port=options.clickhouse_port)
    try:
        asyncio.run(_supervise(LocalParts(options.data, ports, on_progress=_say)))
    except MtsError as error:
        # The last line, as it is: `up` shows it to its user.
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m mts_stream.local.supervisor", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kafka-port", type=int)
    parser.add_argument("--clickhouse-port", type=int)
    return parser.parse_args(arguments)


async def _supervise(parts: LocalParts) -> None:
    loop = asyncio.get_running_loop()
    running = asyncio.ensure_future(_run(parts))
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def _run(parts: LocalParts) -> None:
    async with parts:
        _say(f"ready: Kafka {parts.kafka}, ClickHouse {parts.clickhouse}")
        failure = await parts.failed()
        try:
            parts.directory.write_unasked_end(str(failure))
        except LocalPartError as error:
            _say(str(error))
        raise failure


def _say(text: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
