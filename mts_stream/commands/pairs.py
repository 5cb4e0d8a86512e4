"""`mts-stream pairs`."""

import click

from mts_stream.domain.instrument import Instrument, PairListing
from mts_stream.domain.market_data import RegistryUpdate
from mts_stream.errors import BadRecordError
from mts_stream.exchanges.registry import encode_listing
from mts_stream.settings import load_settings
from mts_stream.wire.codec import decode_record
from mts_stream.wire.kafka import Reader, Record
from mts_stream.wire.topics import INSTRUMENTS


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The registry's records, one JSON object a line.")
def pairs(as_json: bool) -> None:
    """Show the pairs of the registry: their listings, and those that are quarantined."""
    with Reader(load_settings(), [INSTRUMENTS]) as reader:
        listings = last_listings(list(reader.read_to_end()))
    for _, listing in sorted(listings.items()):
        click.echo(encode_listing(listing) if as_json else listing_line(listing))
    if not listings and not as_json:
        click.echo("the registry is empty: no producer has published it yet", err=True)


def last_listings(records: list[Record]) -> dict[str, PairListing]:
    """The newest listing of each pair, said on standard error where a record cannot be read."""
    listings: dict[str, PairListing] = {}
    for record in records:
        if record.value is None:
            listings.pop((record.key or b"").decode(errors="replace"), None)
            continue
        try:
            event = decode_record(record.value)
        except BadRecordError as error:
            click.echo(f"{record.topic} {record.partition}@{record.offset}: {error}", err=True)
            continue
        if isinstance(event, RegistryUpdate):
            listings[event.listing.pair] = event.listing
    return listings


def listing_line(listing: PairListing) -> str:
    """One pair for people."""
    legs = ", ".join(_leg(leg) for leg in listing.legs)
    note = f"  quarantined: {listing.quarantined}" if listing.quarantined else ""
    return f"{listing.pair:<16} {legs}{note}"


def _leg(leg: Instrument) -> str:
    units = "" if leg.multiplier == 1 else f" x{leg.multiplier:f}"
    return f"{leg.venue}:{leg.market} {leg.symbol}{units}"
