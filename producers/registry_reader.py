"""The registry of another process, read from `mts.instruments`: as it stands, and what is said anew."""

from mts_stream.domain.instrument import PairListing
from mts_stream.domain.market_data import RegistryUpdate
from mts_stream.errors import BadRecordError
from mts_stream.exchanges.catalogue import is_catalogue_key
from mts_stream.logs import get_logger
from mts_stream.settings import Settings
from mts_stream.wire.codec import decode_record
from mts_stream.wire.kafka import Reader, Record
from mts_stream.wire.topics import INSTRUMENTS

POLL_S = 0.2

log = get_logger(__name__)


class PublishedListings:
    """The last record of each pair; `read` blocks, so call it from a thread, one at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reader: Reader | None = None
        self._listings: dict[str, PairListing] = {}

    def read(self) -> list[PairListing]:
        """What stands now: at first the whole topic, then what came since; raises KafkaUnavailableError."""
        if self._reader is None:
            self._reader = Reader(self._settings, [INSTRUMENTS])
            for record in self._reader.read_to_end():
                self._take(record)
        while records := self._reader.poll(POLL_S):
            for record in records:
                self._take(record)
        return list(self._listings.values())

    def close(self) -> None:
        """Leave."""
        if self._reader is not None:
            self._reader.close()

    def _take(self, record: Record) -> None:
        if is_catalogue_key(record.key):
            return
        if record.value is None:
            self._listings.pop((record.key or b"").decode(errors="replace"), None)
            return
        try:
            event = decode_record(record.value)
        except BadRecordError as error:
            log.warning("unreadable registry record", offset=record.offset, error=str(error))
            return
        if isinstance(event, RegistryUpdate):
            self._listings[event.listing.pair] = event.listing
