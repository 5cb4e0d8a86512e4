"""A Faust app on the batch transport whose agent notes each batch and commits it; told by its environment.

HOLD: a file; while it stands the agent waits in the middle of a batch. PAUSE_S: how long each batch takes.
GO_BACK: an offset; once it has come, partition 0 is read again from the beginning.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import faust
from faust.types import TP

from mts_stream import transport
from mts_stream.logs import configure_logging
from mts_stream.settings import load_settings
from mts_stream.worker_options import faust_options

TOPIC, PARTITIONS = os.environ["TOPIC"], 2
NOTES, HOLD = Path(os.environ["NOTES"]), Path(os.environ["HOLD"])
PAUSE_S = float(os.environ.get("PAUSE_S", "0"))
LOOK_S = 0.01

settings = load_settings(partitions=PARTITIONS, fetch_records_max=100, broker_session_timeout_s=6)
configure_logging(settings, "noting")
app = faust.App(
    TOPIC, **faust_options(settings, web_port=int(os.environ["WEB_PORT"]), data_dir=NOTES.parent, instance_id="")
)
app.conf.web_enabled = False
transport.configure(app, settings, batched={TOPIC})
expected: dict[tuple[TP, int], int] = {}
asked: dict[TP, int] = {}
goes_back_at = int(os.environ.get("GO_BACK", "-1"))


def note(what: str, tp: TP, generation: int, **more: Any) -> None:
    """A line, whole even where two processes write."""
    line = {"what": what, "pid": os.getpid(), "partition": tp.partition, "generation": generation}
    with NOTES.open("a") as file:
        file.write(json.dumps(line | more) + "\n")


def follows(tp: TP, generation: int, first: int) -> bool:
    """Whether a batch is the next one; where Faust lost some on the way, they are asked for again."""
    wanted = expected.setdefault((tp, generation), transport.first_offset(app, tp) or 0)
    if first > wanted and asked.get(tp) != wanted:
        asked[tp] = wanted
        transport.go_back(app, tp, wanted)
    return first <= wanted


@app.agent(transport.batch_topic(app, TOPIC, PARTITIONS), name="noting", concurrency=1)  # type: ignore[untyped-decorator]
async def take(fetches: Any) -> None:
    """Each batch in its turn."""
    async for fetch in fetches:
        generation = fetches.current_event.message.generation_id
        for tp, records in fetch.items():
            await take_batch(tp, records, generation, fetches.channel.queue.qsize())


async def take_batch(tp: TP, records: list[transport.BatchRecord], generation: int, waiting: int) -> None:
    """Note, wait, commit."""
    global goes_back_at
    first, end = records[0][0], records[-1][0] + 1
    if not transport.is_current(app, generation) or not follows(tp, generation, first):
        note("left out", tp, generation, first=first)
        return
    begin = transport.first_offset(app, tp)
    note("batch", tp, generation, first=first, end=end, records=len(records), begin=begin, waiting=waiting)
    expected[tp, generation] = end
    await asyncio.sleep(PAUSE_S)
    if HOLD.exists():
        note("held", tp, generation, end=end)
    while HOLD.exists():
        await asyncio.sleep(LOOK_S)
    if tp.partition == 0 and 0 <= goes_back_at < end:
        goes_back_at, expected[tp, generation] = -1, 0
        transport.go_back(app, tp, 0)
        note("went back", tp, generation)
        return
    is_current = transport.is_current(app, generation) and tp in app.consumer.assignment()
    took = is_current and await transport.commit(app, {tp: end})
    note("commit", tp, generation, end=end, took=took, is_current=is_current)
