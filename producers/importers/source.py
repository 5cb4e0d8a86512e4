"""What a format says of a file: its lines as frames, snapshots and what is left out. And what all formats share."""

import gzip
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO, Protocol

from mts_stream.domain.quoted import Level
from mts_stream.errors import CaptureError
from mts_stream.exchanges.naming import asset_and_multiplier
from mts_stream.exchanges.venue import BookSnapshot, DepthFrame, FundingFrame, VenueMarket

LINE_BYTES_MAX = 16 * 2**20
PROBE_LINES_MAX = 200_000
QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "BTC", "ETH", "EUR")

OnBytes = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class RestBody:
    """A REST answer to depth, verbatim and decoded."""

    body: bytes
    snapshot: BookSnapshot


@dataclass(frozen=True, slots=True)
class Dropped:
    """A line that no capture of ours holds; `kind` says which sort, `is_traffic` that the connection lived."""

    kind: str
    is_traffic: bool = True


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One line: when it was received, Unix ns, and what it is; a `Dropped` line may have no time (0)."""

    received_ns: int
    content: DepthFrame | FundingFrame | RestBody | Dropped


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file is about: the market, the symbol, its first whole book and the time of its first line."""

    market: VenueMarket
    symbol: str
    bids: list[Level]
    asks: list[Level]


class SourceFormat(Protocol):
    """A third-party format."""

    name: str

    def contents(self, path: Path, market: str | None) -> Contents:
        """What the file is about; `market` (`spot`, `perp`) wins over what it seems to be.

        Raises CaptureError where it cannot be told.
        """

    def lines(self, path: Path, contents: Contents, on_bytes: OnBytes) -> Iterator[SourceLine]:
        """Every line that is not empty, in order; raises BrokenSourceError where the file breaks off."""


class BrokenSourceError(Exception):
    """The file breaks off: what came before it is good."""


def raw_lines(path: Path, on_bytes: OnBytes) -> Iterator[bytes]:
    """The lines of a plain, gzip or zip file without their ends, empty ones too.

    `on_bytes` is told of the file's own bytes. Raises CaptureError, and BrokenSourceError after the last whole line.
    """
    with _opened(path) as (file, raw):
        number = told = 0
        try:
            while line := file.readline(LINE_BYTES_MAX):
                number += 1
                if number % 1000 == 0:
                    on_bytes(raw.tell() - told)
                    told = raw.tell()
                yield line.rstrip(b"\r\n")
        except (EOFError, OSError, zipfile.BadZipFile, ValueError) as error:
            raise BrokenSourceError(f"broken after line {number}: {error}") from error
        on_bytes(path.stat().st_size - told)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """The lines' file, and the file on disk whose position tells how far it is read."""
    try:
        with path.open("rb") as raw:
            head = raw.read(4)
            raw.seek(0)
            if head[:2] == b"\x1f\x8b":
                yield gzip.GzipFile(fileobj=raw), raw  # type: ignore[misc]
            elif head == b"PK\x03\x04":
                with zipfile.ZipFile(raw) as archive, archive.open(_only_member(path, archive)) as member:
                    yield member, raw  # type: ignore[misc]
            else:
                yield raw, raw
    except (OSError, zipfile.BadZipFile) as error:
        raise CaptureError(f"{path}: cannot be read: {error}") from error


def _only_member(path: Path, archive: zipfile.ZipFile) -> str:
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if len(names) != 1:
        raise CaptureError(f"{path}: it holds {len(names)} files; unpack it and import them one by one")
    return names[0]


def finest_step(texts: Iterable[str]) -> Decimal:
    """The largest power of ten, at most 1, of which all decimals are multiples: `1.250` and `3.1` have 0.01."""
    decimals = max((len(text.partition(".")[2].rstrip("0")) for text in texts), default=0)
    return Decimal(1).scaleb(-decimals)


def pair_of(venue: str, symbol: str) -> tuple[str, int] | None:
    """Our pair and the multiplier of a venue's symbol: `1000PEPEUSDT` is (PEPE-USDT, 1000); None if none ends so."""
    for quote in QUOTES:
        base = symbol.removesuffix(quote)
        if base and base != symbol:
            asset, multiplier = asset_and_multiplier(venue, base)
            return f"{asset}-{quote}", multiplier
    return None
