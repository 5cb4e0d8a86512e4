"""The registry of another process, read from `mts.instruments`."""

from mts_stream.domain.instrument import PairListing
from mts_stream.domain.market_data import RegistryUpdate
from mts_stream.errors import BadRecordError
from mts_stream.logs import get_logger
from mts_stream.settings import Settings
from mts_stream.wire.codec import decode_record
from mts_stream.wire.kafka import Reader
from mts_stream.wire.topics import INSTRUMENTS

log = get_logger(__name__)


def read_listings(settings: Settings) -> list[PairListing]:
    """The last record of each pair; blocks. Raises KafkaUnavailableError."""
    listings: dict[str, PairListing] = {}
    with Reader(settings, [INSTRUMENTS]) as reader:
        for record in reader.read_to_end():
            try:
                event = decode_record(record.value)
            except BadRecordError as error:
                log.warning("unreadable registry record", offset=record.offset, error=str(error))
                continue
            if isinstance(event, RegistryUpdate):
                listings[event.listing.pair] = event.listing
    return list(listings.values())
