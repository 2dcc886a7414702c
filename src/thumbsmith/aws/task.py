"""A process that handles the messages of a queue until it is stopped: `python -m thumbsmith.aws.task`.

It runs in a container or on any machine, with the settings and the steps of the function, but without its limits of
memory and time. THUMBSMITH_QUEUE is the URL of the queue. A message is deleted once its keys are done. Any other
message becomes visible in the queue again, and is received again. On SIGTERM the task finishes the current messages.
"""

from __future__ import annotations

import signal
import threading

from thumbsmith.backfill.clients import open_queue
from thumbsmith.dispatch.consume import consume
from thumbsmith.dispatch.converger import Converger
from thumbsmith.dispatch.settings import FunctionSettings
from thumbsmith.dispatch.telemetry import log_problem
from thumbsmith.environment import LAMBDA_THREADS_PER_CORE, Setting
from thumbsmith.errors import ThumbsmithError, UsageError
from thumbsmith.worker import Workers, usable_cores


def main() -> None:
    """Work until a signal stops the process. An error in the settings is logged, and the exit code is 2."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    try:
        url = Setting.QUEUE.read()
        if url is None:
            raise UsageError(f"{Setting.QUEUE}: expected a queue's URL, found nothing")
        settings, count = FunctionSettings.from_environment(), usable_cores()
        with Workers(count) as workers:
            consume(open_queue(url), Converger(settings, workers, LAMBDA_THREADS_PER_CORE * count), stopped.is_set)
    except ThumbsmithError as problem:
        log_problem(problem)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
