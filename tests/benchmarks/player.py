"""`python -m tests.benchmarks.player --symbols N`: plays recorded frames as fast as each client reads them.

A process of its own, so that its CPU is not the client's. A connection's path is its book's name. To the client's
first message it sends every symbol's first frame, to PLAY all the others.
"""

import argparse
import asyncio
import sys
from itertools import groupby
from typing import Any

import orjson
import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode

from tests.benchmarks.recorded_streams import FRAMES_PER_BOOK, books, stream, symbols

PLAY = {"op": "play"}
CHUNK_BYTES = 64 * 1024
BUFFER_BYTES_MAX = 1024 * 1024
WAIT_S = 0.001


class Player:
    """Streams by path, each in two parts of whole websocket frames."""

    def __init__(self, count: int, frames: int) -> None:
        self._parts: dict[str, tuple[list[bytes], list[bytes]]] = {}
        for book in books():
            messages = [Frame(Opcode.TEXT, m).serialize(mask=False) for m in stream(book, symbols(count), frames)]
            self._parts[f"/{book.conn}"] = _chunks(messages[:count]), _chunks(messages[count:])

    async def handle(self, ws: ServerConnection) -> None:
        """Both parts when they are asked for, and the acks of subscriptions; silence until the client leaves."""
        assert ws.request is not None
        opening, rest = self._parts[ws.request.path]
        is_first = True
        async for message in ws:
            request = orjson.loads(message)
            if (ack := _ack(request)) is not None:
                await ws.send(ack, text=True)
            if is_first:
                await _write(ws, opening)
            elif request == PLAY:
                await _write(ws, rest)
            is_first = False


def _ack(request: dict[str, Any]) -> bytes | None:
    """As the venue of the request answers it."""
    if "method" in request:
        return orjson.dumps({"result": None, "id": request["id"]})
    if request.get("op") == "subscribe":
        return orjson.dumps({"success": True, "ret_msg": "", "op": "subscribe", "req_id": request["req_id"]})
    return None


def _chunks(frames: list[bytes]) -> list[bytes]:
    sizes, total = [], 0
    for frame in frames:
        sizes.append(total // CHUNK_BYTES)
        total += len(frame)
    return [
        b"".join(f for f, _ in group) for _, group in groupby(zip(frames, sizes, strict=True), lambda each: each[1])
    ]


async def _write(ws: ServerConnection, chunks: list[bytes]) -> None:
    for chunk in chunks:
        while ws.transport.get_write_buffer_size() > BUFFER_BYTES_MAX:
            await asyncio.sleep(WAIT_S)
        ws.transport.write(chunk)


async def _serve(count: int, frames: int) -> None:
    player = Player(count, frames)
    async with serve(player.handle, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        sys.stdout.write(orjson.dumps({"port": next(iter(server.sockets)).getsockname()[1]}).decode() + "\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until whoever started us goes


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--symbols", type=int, required=True)
    parser.add_argument("--frames-per-book", type=int, default=FRAMES_PER_BOOK)
    given = parser.parse_args()
    uvloop.run(_serve(given.symbols, given.frames_per_book))
