"""One third-party file into one capture of ours."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mts_stream.domain.instrument import PairListing
from mts_stream.errors import CaptureError, UsageError
from producers.captures import COMPRESS, CaptureFile, refusal, suffix_of
from producers.importers.assembly import Assembler, Listed, listing_of
from producers.importers.source import BrokenSourceError, Contents, OnBytes, SourceFormat, SourceLine


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the user says about a file; None lets its contents speak."""

    market: str | None = None
    listed: Listed = field(default_factory=Listed)
    keyframe_interval_s: float = 60.0


def check_output(out: Path) -> None:
    """Refuse what cannot become a capture; raises UsageError."""
    if suffix_of(out) is None:
        raise UsageError(f"--out {out}: a capture's name ends in {', '.join(COMPRESS)}")
    if out.exists():
        raise UsageError(f"--out {out}: it exists already; choose another name")
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}; make it first")


def import_capture(
    source: SourceFormat, path: Path, out: Path, options: ImportOptions, on_bytes: OnBytes = lambda _: None
) -> dict[str, Any]:
    """Write the capture and return the counts.

    Raises CaptureError for a file that holds no book or cannot be read, and where the disk refuses; a file that
    breaks off gives what can be read of it, and `broken` says where.
    """
    contents = source.contents(path, options.market)
    listing = listing_of(contents, options.listed)
    try:
        file = CaptureFile(out)
    except OSError as error:
        raise CaptureError(refusal(error, out)) from error
    assembler = Assembler(contents, listing, source.name, options.keyframe_interval_s, file.add)
    try:
        broken = _assemble(assembler, file, source.lines(path, contents, on_bytes))
    except OSError as error:
        raise CaptureError(f"{refusal(error, out)}; {file.records} records in it can be read") from error
    return _counts(source, contents, listing, assembler, file) | {"broken": broken}


def _assemble(assembler: Assembler, file: CaptureFile, lines: Iterable[SourceLine]) -> str | None:
    """Take every line and close the file; says where the source breaks off, if it does."""
    try:
        assembler.assemble(lines)
    except BrokenSourceError as error:
        return str(error)
    finally:
        file.close()
    return None


def _counts(
    source: SourceFormat, contents: Contents, listing: PairListing, assembler: Assembler, file: CaptureFile
) -> dict[str, Any]:
    market, leg = contents.market, listing.legs[0]
    return {
        "format": source.name, "venue": market.venue, "market": market.market, "symbol": contents.symbol,
        "pair": listing.pair, "tick_size": f"{leg.tick_size:f}", "lot_size": f"{leg.lot_size:f}",
        **assembler.tally.as_json(), "bytes": file.size_bytes,
    }  # fmt: skip
