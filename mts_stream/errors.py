"""The errors that people and programs see; each says in one line what happened, where, and what to do.

MtsError
├── SettingsError          a setting is missing, out of range or contradicts another (exit 2)
├── UsageError             the command line asks for something that cannot be (exit 2)
├── LocalPartError         an embedded part (Kafka, ClickHouse) cannot start or has ended
├── ListenError            a server of ours cannot have its port
├── KafkaUnavailableError  no broker answers
├── RecoveryError          the worker cannot read its checkpoints
├── DeliveryError          Kafka refused or lost a record
├── StoreError             ClickHouse refuses, or does not answer
├── CaptureError           a capture cannot be written, or a third-party one not be read
├── ReplayDiffersError     two replays of one capture give different results
├── ExplainError           what is to be explained is nowhere in what was searched
├── VenueError             an exchange answers with an error, or not at all
└── BadRecordError         a record that cannot be read: it becomes a dead letter
"""

import msgspec

from mts_stream.domain.rejection import BadRecordError as BadRecordError

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not what they should be: no JSON, no UTF-8, nested too deep, another shape."""


class MtsError(Exception):
    """An error that its user can act on: its text is one line that says what, where and what to do."""

    exit_code = 1
    told = False  # its line stands in the log: no library need repeat it with a traceback


class SettingsError(MtsError):
    """A setting is wrong; the text names its variable."""

    exit_code = 2


class UsageError(MtsError):
    """The command line asks for something that cannot be."""

    exit_code = 2


class LocalPartError(MtsError):
    """An embedded part could not start or ended unasked."""


class ListenError(MtsError):
    """A server of ours cannot listen where it should."""


class KafkaUnavailableError(MtsError):
    """No Kafka broker answers at the configured address."""


class RecoveryError(MtsError):
    """The recovery from the checkpoints stands still."""


class DeliveryError(MtsError):
    """Kafka did not confirm a record."""


class StoreError(MtsError):
    """ClickHouse refused a statement or does not answer."""


class CaptureError(MtsError):
    """A capture could not be written, or what should become one could not be read."""


class ReplayDiffersError(MtsError):
    """Two replays of one capture gave different results."""


class ExplainError(MtsError):
    """What is to be explained is nowhere in what was searched."""


class VenueError(MtsError):
    """An exchange answered with an error, or not at all."""
