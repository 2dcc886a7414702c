"""`thumbsmith work QUEUE...`: handle the messages of queues until stopped."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from contextvars import copy_context
from functools import partial
from typing import Final

import click

from thumbsmith.cli.arguments import jobs_option, recipe_from, recipe_option
from thumbsmith.cli.command import FOLDER_PATH, command
from thumbsmith.cli.stopping import stoppable
from thumbsmith.cli.terminal import Console
from thumbsmith.cli.wording import plural, printable
from thumbsmith.dispatch.consume import MessageQueue, consume, opened_queue
from thumbsmith.dispatch.converger import Converger
from thumbsmith.dispatch.settings import FunctionSettings
from thumbsmith.dispatch.status import StatusServer, WorkStatus
from thumbsmith.dispatch.telemetry import log_isolation
from thumbsmith.environment import Setting
from thumbsmith.errors import UsageError
from thumbsmith.store import Store, open_store, refuse_overlap
from thumbsmith.worker import THREADS_PER_WORKER, Workers, usable_cores

INTERRUPTED: Final = 130

_LISTEN: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]\s]+)):(?P<port>\d{1,5})")


@command()
@click.argument(
    "addresses",
    metavar="QUEUE...",
    nargs=-1,
    required=True,
    help="sqs://NAME, the URL of a queue, nats://HOST:PORT/STREAM, or amqp://HOST:PORT/QUEUE.",
)
@click.option(
    "--source",
    metavar="SRC",
    type=FOLDER_PATH,
    help="The bucket, or folder, with the images. Default: $THUMBSMITH_SOURCE.",
)
@click.option(
    "--destination",
    metavar="DST",
    type=FOLDER_PATH,
    help="The bucket, or folder, for the thumbnails. Default: $THUMBSMITH_DESTINATION.",
)
@recipe_option
@jobs_option
@click.option("--listen", metavar="HOST:PORT", help="Serve /health and /metrics at this address. Default: off.")
def work(
    addresses: tuple[str, ...],
    source: str | None,
    destination: str | None,
    recipe: str | None,
    jobs: int | None,
    listen: str | None,
) -> int:
    """Handle the messages of queues until you stop it, as the function on AWS does.

    The messages are notifications from S3 or a server like it, or keys from "sync --via". A message is deleted once
    its thumbnails are right. Any other message is delivered again.
    Run as many processes as you like: each message goes to one of them.
    Each image is one line of JSON on stdout. Ctrl-C or SIGTERM ends it within five seconds, and returns unfinished
    messages to their queue.

    Examples:
      thumbsmith work sqs://photos --source s3://my-photos --destination s3://my-thumbs

      thumbsmith work nats://queue.internal:4222/photos --listen 0.0.0.0:9090
    """
    settings = FunctionSettings(
        source=_store(source, "--source", Setting.SOURCE),
        destination=_store(destination, "--destination", Setting.DESTINATION),
        recipe=recipe_from(recipe),
    )
    refuse_overlap(settings.source, settings.destination)
    console, count = Console(), jobs or usable_cores()
    with ExitStack() as opened:
        queues = [opened.enter_context(opened_queue(address)) for address in addresses]
        status = WorkStatus([queue.name for queue in queues])
        server = _serve(listen, status, opened)
        workers = opened.enter_context(Workers(count))
        stopped = opened.enter_context(stoppable(console, "the messages in progress", cut=workers.close))
        workers.start()
        log_isolation(workers.layers())
        at = f"; http://{listen.rpartition(':')[0]}:{server.port}/metrics" if listen and server else ""
        console.note(f"working on {plural(len(queues), 'queue')}{printable(at)}; Ctrl-C to stop")
        converger = Converger(settings, workers, THREADS_PER_WORKER * count)
        _consume_all(queues, converger, stopped, status)
    return INTERRUPTED


def _consume_all(
    queues: Sequence[MessageQueue], converger: Converger, stopped: Callable[[], bool], status: WorkStatus
) -> None:
    """Consume each queue in a thread, until a stop. Raises the first error of a queue, after the others have ended."""
    errors: list[Exception] = []

    def run(queue: MessageQueue) -> None:
        try:
            consume(queue, converger, lambda: stopped() or bool(errors), observer=status)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=partial(copy_context().run, run, queue), name="queue") for queue in queues]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _store(option: str | None, name: str, setting: Setting) -> Store:
    address = option or setting.read()
    if not address:
        raise UsageError(f"{name}: expected this option or the variable {setting}, found neither")
    return open_store(address)


def _serve(listen: str | None, status: WorkStatus, opened: ExitStack) -> StatusServer | None:
    """Serve the status at the address of the option, if given. Raises UsageError."""
    if listen is None:
        return None
    found = _LISTEN.fullmatch(listen)
    if not found or int(found["port"]) > 65535:
        raise UsageError(f"--listen: expected HOST:PORT, such as 127.0.0.1:9090, found {listen!r}")
    try:
        return opened.enter_context(StatusServer(found["v6"] or found["name"], int(found["port"]), status))
    except OSError as error:
        raise UsageError(f"--listen {listen}: this address cannot be used: {error.strerror or error}") from error
