"""Asks a broker for its metadata over a plain socket: the sign that it serves, not only that its port is open.

Kafka's protocol guide, Metadata version 4: request `topics` (array, empty: none) and `allow_auto_topic_creation`;
answer `throttle_ms`, the array of brokers (`node_id`, `host`, `port`, `rack`), `cluster_id`, `controller_id`, topics.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass

from mts_stream.local.ports import HOST

METADATA_KEY, METADATA_VERSION = 3, 4
CLIENT_ID = b"mts-probe"
PROBE_TIMEOUT_S = 2.0
ANSWER_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class ClusterAnswer:
    """What a broker says of its cluster."""

    broker_count: int
    cluster_id: str


async def ask_cluster(port: int, timeout_s: float = PROBE_TIMEOUT_S) -> ClusterAnswer | None:
    """The answer of the broker on a loopback port, None when it gives none in time."""
    try:
        async with asyncio.timeout(timeout_s):
            return _parse(await _exchange(port))
    except (OSError, EOFError, TimeoutError, ValueError, struct.error):
        return None


async def _exchange(port: int) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        header = struct.pack(">hhih", METADATA_KEY, METADATA_VERSION, 1, len(CLIENT_ID)) + CLIENT_ID
        request = header + struct.pack(">i?", 0, False)
        writer.write(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", await reader.readexactly(4))
        if not 0 < size <= ANSWER_BYTES_MAX:
            raise ValueError(f"an answer of {size} bytes is not Kafka's")
        return await reader.readexactly(size)
    finally:
        writer.close()


def _parse(answer: bytes) -> ClusterAnswer:
    _correlation_id, _throttle_ms, broker_count = struct.unpack_from(">iii", answer)
    offset = 12
    for _ in range(broker_count):
        offset += 4  # node_id
        _, offset = _string(answer, offset)
        offset += 4  # port
        _, offset = _string(answer, offset)
    cluster_id, _ = _string(answer, offset)
    return ClusterAnswer(broker_count, cluster_id)


def _string(data: bytes, offset: int) -> tuple[str, int]:
    """A length-prefixed string, empty when null, and the offset behind it."""
    (size,) = struct.unpack_from(">h", data, offset)
    start = offset + 2
    end = start + max(0, size)
    if end > len(data):
        raise ValueError("the answer ends within a string")
    return data[start:end].decode(), end
