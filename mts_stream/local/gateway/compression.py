"""Content encodings of request and answer bodies, each bounded in what it may unpack to."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Protocol

import zstandard

from mts_stream.local.extra import missing_extra
from mts_stream.local.gateway.errors import CANNOT_DECOMPRESS, NOT_IMPLEMENTED, TOO_MANY_BYTES, QueryError, refused

GZIP_LEVEL = 1  # the clients are on this machine: time matters, size hardly
ZSTD_STEP_BYTES = 1024
ANSWER_BYTES_MIN = 1400  # a smaller answer fits one packet as it is


def decompress(body: bytes, encoding: str, bytes_max: int) -> bytes:
    """The body that a client meant; `QueryError` when it is damaged, too large or of an unknown encoding."""
    if encoding in ("", "identity"):
        return body
    unpack = UNPACKERS.get(encoding)
    if unpack is None:
        raise refused(NOT_IMPLEMENTED, f"Unknown compression method {encoding}", "NOT_IMPLEMENTED")
    try:
        data, whole = unpack(body, bytes_max + 1)
    except Exception as error:  # each library has its own, and none is a fault of ours
        raise refused(CANNOT_DECOMPRESS, f"Cannot decompress {encoding}: {error}", "CANNOT_DECOMPRESS") from error
    if len(data) > bytes_max:
        raise body_too_large(bytes_max)
    if not whole:
        raise refused(CANNOT_DECOMPRESS, f"Cannot decompress {encoding}: it is cut off", "CANNOT_DECOMPRESS")
    return data


def body_too_large(bytes_max: int) -> QueryError:
    """The error for a body above the bound."""
    return refused(TOO_MANY_BYTES, f"The request body is larger than {bytes_max} bytes", "TOO_MANY_BYTES")


def choose(accepted: str) -> str:
    """The encoding of an answer for an Accept-Encoding header; empty for none. Cheapest first."""
    offers = {part.partition(";")[0].strip().lower() for part in accepted.split(",") if not _is_refused(part)}
    return next((name for name in PACKERS if name in offers), "")


def compress(data: bytes, encoding: str) -> bytes:
    """`data` in an encoding that `choose` gave."""
    return PACKERS[encoding](data)


def _is_refused(part: str) -> bool:
    return part.replace(" ", "").endswith((";q=0", ";q=0.0"))


class _Unpacker(Protocol):
    """What the libraries' decompressors have in common."""

    @property
    def eof(self) -> bool:
        """Whether the frame has ended."""

    @property
    def unused_data(self) -> bytes | None:
        """What followed the frame."""

    def decompress(self, data: bytes, limit: int, /) -> bytes:
        """Unpack, at most so many bytes."""


def _unpack(make: Callable[[], _Unpacker], body: bytes, limit: int) -> tuple[bytes, bool]:
    """Unpack frame after frame, at most `limit` bytes in all; and whether the last frame was whole."""
    data = bytearray()
    rest: bytes | None = body
    while rest and len(data) < limit:
        unpacker = make()
        data += unpacker.decompress(rest, limit - len(data))
        if not unpacker.eof:
            return bytes(data), False
        rest = unpacker.unused_data
    return bytes(data), True


def _unpack_zlib(body: bytes, limit: int) -> tuple[bytes, bool]:
    return _unpack(lambda: zlib.decompressobj(wbits=zlib.MAX_WBITS | 32), body, limit)  # gzip or zlib, by the header


def _unpack_lz4(body: bytes, limit: int) -> tuple[bytes, bool]:
    from lz4.frame import LZ4FrameDecompressor

    return _unpack(LZ4FrameDecompressor, body, limit)


def _unpack_zstd(body: bytes, limit: int) -> tuple[bytes, bool]:
    """As `_unpack`, for a library without a limit: small steps, of which none can unpack to more than 32 MB."""
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    data = bytearray()
    for start in range(0, len(body), ZSTD_STEP_BYTES):
        rest = body[start : start + ZSTD_STEP_BYTES]
        while rest:
            if unpacker.eof:
                unpacker = zstandard.ZstdDecompressor().decompressobj()
            data += unpacker.decompress(rest)
            rest = unpacker.unused_data
        if len(data) > limit:
            break
    return bytes(data), unpacker.eof


def _pack_lz4(data: bytes) -> bytes:
    try:
        import lz4.frame
    except ImportError as error:
        raise missing_extra("lz4") from error
    packed: bytes = lz4.frame.compress(data)
    return packed


def _pack_zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(data)


def _pack_gzip(data: bytes) -> bytes:
    return gzip.compress(data, GZIP_LEVEL)


UNPACKERS: dict[str, Callable[[bytes, int], tuple[bytes, bool]]] = {
    "gzip": _unpack_zlib,
    "deflate": _unpack_zlib,
    "lz4": _unpack_lz4,
    "zstd": _unpack_zstd,
}
PACKERS: dict[str, Callable[[bytes], bytes]] = {"lz4": _pack_lz4, "zstd": _pack_zstd, "gzip": _pack_gzip}
