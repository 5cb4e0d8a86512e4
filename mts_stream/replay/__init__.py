"""A capture through the engine without Kafka: the same results as the live worker's, byte for byte.

captures.py   a capture's lines, however it ends
running.py    one capture through one engine, into files
processes.py  several captures at once
replaying.py  all captures into a folder that never holds half a result
command.py    `mts-stream replay`
"""

from mts_stream.replay.captures import capture_lines as capture_lines
from mts_stream.replay.captures import check_captures as check_captures
from mts_stream.replay.captures import read_lines as read_lines
from mts_stream.replay.replaying import replay as replay
