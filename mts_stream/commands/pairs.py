"""`mts-stream pairs`."""

from typing import Any

import click
import orjson
from msgspec import to_builtins
from rich.console import Console
from rich.table import Table

from mts_stream.domain.instrument import Instrument, PairListing
from mts_stream.domain.market_data import RegistryUpdate
from mts_stream.errors import BadRecordError
from mts_stream.exchanges.catalogue import (
    CatalogueRow,
    MarketCatalogue,
    decode_catalogue,
    is_catalogue_key,
    row_notes,
    utc,
)
from mts_stream.exchanges.registry import encode_listing
from mts_stream.settings import load_settings
from mts_stream.wire.codec import decode_record
from mts_stream.wire.kafka import Reader, Record
from mts_stream.wire.topics import INSTRUMENTS

EMPTY = "the registry is empty: no producer has published it yet; `python -m producers pairs` asks the venues"

WIDTH_IN_FILES = 200


@click.command()
@click.option("--explain", is_flag=True, help="Every instrument of both venues: taken, or why not.")
@click.option("--pair", "text", default="", metavar="TEXT", help="Only what has this in its pair or symbol.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: pairs, or with --explain instruments.")
def pairs(explain: bool, text: str, as_json: bool) -> None:
    """Show the pairs of the registry: their listings, and those that are quarantined."""
    with Reader(load_settings(), [INSTRUMENTS]) as reader:
        records = list(reader.read_to_end())
    catalogues = last_catalogues(records)
    if explain:
        shown: list[Any] = explained(catalogues, text.upper())
        _show_instruments(shown, as_json)
    else:
        listings = last_listings(records)
        shown = [one for _, one in sorted(listings.items()) if text.upper() in search_text(one)]
        for listing in shown:
            click.echo(encode_listing(listing) if as_json else listing_line(listing, ends_of(catalogues)))
    if not shown and not as_json:
        click.echo(EMPTY if not records else f"nothing in the registry has {text!r} in its name", err=True)


def last_listings(records: list[Record]) -> dict[str, PairListing]:
    """The newest listing of each pair, said on standard error where a record cannot be read."""
    listings: dict[str, PairListing] = {}
    for record in records:
        if is_catalogue_key(record.key):
            continue
        if record.value is None:
            listings.pop((record.key or b"").decode(errors="replace"), None)
            continue
        try:
            event = decode_record(record.value)
        except BadRecordError as error:
            _tell_bad(record, error)
            continue
        if isinstance(event, RegistryUpdate):
            listings[event.listing.pair] = event.listing
    return listings


def last_catalogues(records: list[Record]) -> list[MarketCatalogue]:
    """The newest catalogue of each market, in the order of their names."""
    catalogues: dict[tuple[str, str], MarketCatalogue] = {}
    for record in records:
        if not is_catalogue_key(record.key):
            continue
        try:
            catalogue = decode_catalogue(record.value)
        except BadRecordError as error:
            _tell_bad(record, error)
            continue
        catalogues[catalogue.venue, catalogue.market] = catalogue
    return [catalogue for _, catalogue in sorted(catalogues.items())]


def _tell_bad(record: Record, error: BadRecordError) -> None:
    click.echo(f"{record.topic} {record.partition}@{record.offset}: {error}", err=True)


def explained(catalogues: list[MarketCatalogue], text: str) -> list[tuple[str, str, CatalogueRow]]:
    """Venue, market and row of each instrument that has the text in its pair or symbol: by pair, then market."""
    rows = [(of.venue, of.market, row) for of in catalogues for row in of.instruments]
    found = [one for one in rows if text in one[2].pair or text in one[2].symbol]
    return sorted(found, key=lambda one: (not one[2].is_taken, one[2].pair, one[0], one[1], one[2].symbol))


def _show_instruments(rows: list[tuple[str, str, CatalogueRow]], as_json: bool) -> None:
    if as_json:
        for venue, market, row in rows:
            click.echo(orjson.dumps({"venue": venue, "market": market} | to_builtins(row)))
        return
    table = Table(box=None, header_style="bold")
    for name in ("pair", "market", "symbol"):
        table.add_column(name, no_wrap=True)
    table.add_column("USD a day", justify="right", no_wrap=True)
    table.add_column("taken, or why not")
    for venue, market, row in rows:
        table.add_row(row.pair, f"{venue}:{market}", row.symbol, f"{int(row.turnover_usd):,}", row_notes(row))
    if rows:
        console = Console(highlight=False)
        (console if console.is_terminal else Console(highlight=False, width=WIDTH_IN_FILES)).print(table)


def ends_of(catalogues: list[MarketCatalogue]) -> dict[tuple[str, str, str], int]:
    """When the venues will delist what, Unix ms."""
    rows = ((of, row) for of in catalogues for row in of.instruments)
    return {(of.venue, of.market, row.symbol): row.delisting_ms for of, row in rows if row.delisting_ms is not None}


def search_text(listing: PairListing) -> str:
    """What a pair is found by."""
    return " ".join([listing.pair, *(leg.symbol for leg in listing.legs)])


def listing_line(listing: PairListing, ends: dict[tuple[str, str, str], int]) -> str:
    """One pair for people."""
    legs = ", ".join(_leg(leg, ends.get((leg.venue, leg.market, leg.symbol))) for leg in listing.legs)
    note = f"  quarantined: {listing.quarantined}" if listing.quarantined else ""
    return f"{listing.pair:<16} {legs}{note}"


def _leg(leg: Instrument, end_ms: int | None) -> str:
    notes = [] if leg.status == "trading" else [leg.status]
    notes += [] if end_ms is None else [f"to be delisted at {utc(end_ms)}"]
    units = "" if leg.multiplier == 1 else f" x{leg.multiplier:f}"
    return f"{leg.venue}:{leg.market} {leg.symbol}{units}" + (f" ({', '.join(notes)})" if notes else "")
