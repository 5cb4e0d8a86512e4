"""What both Faust workers share: settings, waiting for Kafka and its topics, logs, event loop, pages, watchdogs.

app = create_worker(settings, group="mts-stream", batched={"mts.raw"}, web_port=6066, data_dir=..., process="worker")
app.health.handled(tp, next_offset)       # after every batch
await app.crash_worker(error)             # a bug: the process ends with code 1 and commits nothing more
"""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import faust
import uvloop
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from mts_stream import metrics, transport
from mts_stream.errors import KafkaUnavailableError, MtsError, RecoveryError
from mts_stream.garbage import look_seldom
from mts_stream.health import RecoveryWatch, WorkerHealth
from mts_stream.instance import OwnInstanceId
from mts_stream.kafka_watch import CHECK_S, KafkaWatch, ask_brokers
from mts_stream.logs import configure_logging, get_logger
from mts_stream.settings import Settings
from mts_stream.startup import check_port, exit_with, kafka_ready, make_directory, missing_topics
from mts_stream.startup import settings_or_exit as settings_or_exit
from mts_stream.worker_options import faust_options

END_AFTER_CRASH_S = 20.0
WATCH_INTERVAL_S = 1.0

log = get_logger("mts_stream.worker")


class WorkerApp(faust.App):  # type: ignore[misc]
    """A Faust app that waits for Kafka and its topics before it reads, and ends when it cannot go on."""

    settings: Settings
    health: WorkerHealth
    process = "worker"
    told: MtsError | None = None  # why it ends, where its user can act on it
    batched_topics: frozenset[str] = frozenset()
    instance_id = ""  # its name in the group by a setting
    keeps_name = False  # whether it has a name of its own in the group where no setting gives it one
    own_name: OwnInstanceId | None = None

    async def on_first_start(self) -> None:
        """Make the topics first: the consumer of a topic that does not exist never starts."""
        try:
            make_directory(Path(self.conf.datadir))
            if self.conf.web_enabled and self.conf.web_port:
                check_port(self.conf.web_bind, self.conf.web_port, process=self.process)
            self._take_name()
            await super().on_first_start()
            await kafka_ready(self.settings)
        except MtsError as error:
            exit_with(error)
        look_seldom()
        self.add_future(self._watch_recovery())
        self.add_future(self._watch_kafka())

    def _take_name(self) -> None:
        if self.keeps_name and not self.instance_id:  # read from `conf`, it would count as in use there
            self.own_name = OwnInstanceId(Path(self.conf.datadir))
            self.conf.consumer_group_instance_id = self.own_name.name or None

    def leave_group(self) -> None:
        """Say goodbye at the end, which a member with a name does not: others need not wait until it counts as dead.

        One that was named by a setting is expected back, and stays a member.
        """
        if self.own_name is not None:
            transport.leave_at_end(self)

    async def crash_worker(self, error: BaseException) -> None:
        """End the process with code 1; what is not checkpointed is read again."""
        if isinstance(error, MtsError):
            if self.told is None:
                log.critical("worker cannot go on", error=str(error))
                self.told = error
                threading.excepthook = _log_thread
            error.told = True
            end_process_later(END_AFTER_CRASH_S, f"error: {error}")
        else:
            log.critical("worker crashed", error=repr(error), exc_info=error)
            end_process_later(END_AFTER_CRASH_S)
        await self.crash(error)

    @asynccontextmanager
    async def bugs_end_it(self) -> AsyncIterator[None]:
        """What is raised inside ends the worker, from wherever Faust would have gone on."""
        try:
            yield
        except Exception as error:
            await self.crash_worker(error)
            raise

    async def _watch_recovery(self) -> None:
        watch = RecoveryWatch(self)
        while not self.should_stop:
            await asyncio.sleep(WATCH_INTERVAL_S)
            stood_s = watch.stalled_for_s()
            if stood_s is not None:
                await self.crash_worker(_recovery_error(self.settings, stood_s))
                return

    async def _watch_kafka(self) -> None:
        watch = KafkaWatch(self.settings.kafka_bootstrap_servers, lambda: ask_brokers(self.settings))
        while not self.should_stop:
            await watch.check()
            was_away, self.health.kafka_problem = self.health.kafka_problem is not None, watch.problem
            await asyncio.sleep(CHECK_S)
            if was_away and watch.problem is None:
                await self._check_topics()

    async def _check_topics(self) -> None:
        """A broker that came back without our topics is another one: what we hold does not belong to it."""
        try:
            gone = await asyncio.to_thread(missing_topics, self.settings)
        except KafkaUnavailableError as error:
            log.warning("the topics could not be checked", error=str(error))
            return
        if gone:
            servers = self.settings.kafka_bootstrap_servers
            await self.crash_worker(
                RecoveryError(
                    f"Kafka at {servers} (KAFKA_BOOTSTRAP_SERVERS) came back without the topics {', '.join(gone)}; "
                    "start this process again, which makes them and begins anew"
                )
            )


def create_worker(
    settings: Settings, *, group: str, batched: Iterable[str], web_port: int, data_dir: Path, process: str,
    instance_id: str = "", gather_ms: int = 0,
) -> WorkerApp:  # fmt: skip
    """The app of a worker on the batch transport, with /metrics and /health; needs no Kafka yet.

    With an `instance_id` of its own a worker that is killed and started again takes its partitions back at once.
    """
    configure_logging(settings, process)
    app = WorkerApp(group, **faust_options(settings, web_port=web_port, data_dir=data_dir, instance_id=instance_id))
    app.process, app.instance_id = process, instance_id
    transport.configure(app, settings, batched=batched, gather_ms=gather_ms)
    app.health = WorkerHealth(app)
    app.on_worker_init.connect(_use_uvloop, weak=False)
    _add_pages(app)
    return app


def _log_thread(args: threading.ExceptHookArgs) -> None:
    """How a thread of Faust's ended while the worker was ending: one line, the reason is told."""
    log.warning("thread ended", error=repr(args.exc_value))


def _recovery_error(settings: Settings, stood_s: float) -> RecoveryError:
    return RecoveryError(
        f"recovery has not advanced for {stood_s:.0f} s at Kafka {settings.kafka_bootstrap_servers} "
        "(KAFKA_BOOTSTRAP_SERVERS): the broker is away, or its topics are gone; "
        "see that it runs, then start this process again, which makes the topics that are missing"
    )


def end_process_later(after_s: float, last_line: str = "") -> threading.Timer:
    """A crashed worker that hangs in its own shutdown ends all the same, and says why at last."""

    def end() -> None:
        if last_line:
            print(last_line, file=sys.__stderr__, flush=True)
        os._exit(1)

    timer = threading.Timer(after_s, end)
    timer.daemon = True
    timer.start()
    return timer


def _use_uvloop(*_: Any, **__: Any) -> None:
    """Before the command line makes its event loop, and only there."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())


def _add_pages(app: WorkerApp) -> None:
    @app.page("/metrics", name="metrics")  # type: ignore[untyped-decorator]
    async def show_metrics(web: Any, request: Any) -> Any:
        body = generate_latest(metrics.registry_of(app.process))
        return web.bytes(body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    @app.page("/health", name="health")  # type: ignore[untyped-decorator]
    async def show_health(web: Any, request: Any) -> Any:
        status, body = app.health.report()
        return web.json(body, status=status)
