"""The Lambda function: thumbsmith.aws.handler.handler.

Loading this module is the cold start. Lambda does it once for each execution environment, in this order:

1. Launch a worker process. It takes longest to start, and it starts on another core while the rest is loaded here.
2. Import everything else.
3. `_cold_start`: read the settings, open the stores, and log the isolation layers.

An error in the settings must not stop the module from loading: then Lambda would only report a failed import. It is
logged once, and raised by each invocation, so that messages stay in their queue.
"""

from __future__ import annotations

from thumbsmith.worker.launch import Launched

_LAUNCHED = Launched()  # before the imports below

from typing import Any, Final  # noqa: E402 - after the launch, like all that follow

from thumbsmith.aws.worker_memory import core_share, started_workers, worker_count  # noqa: E402 - as above
from thumbsmith.dispatch.converger import Converger  # noqa: E402 - as above
from thumbsmith.dispatch.invocation import Context, handle  # noqa: E402 - as above
from thumbsmith.dispatch.settings import FunctionSettings, larger_machines  # noqa: E402 - as above
from thumbsmith.dispatch.telemetry import log_isolation, log_problem  # noqa: E402 - as above
from thumbsmith.environment import LAMBDA_THREADS_PER_CORE, function_memory  # noqa: E402 - as above
from thumbsmith.errors import ThumbsmithError  # noqa: E402 - as above


def _cold_start() -> Converger | ThumbsmithError:
    """Return the converger for the environment's settings, or the error in them. Logs the layers, or the error."""
    memory = function_memory()
    try:
        workers = started_workers(memory, _LAUNCHED)
        settings = FunctionSettings.from_environment()
        log_isolation(workers.layers())
        threads = LAMBDA_THREADS_PER_CORE * worker_count(memory)
        return Converger(settings, workers, threads, larger_machines(settings), core_share(memory))
    except ThumbsmithError as problem:
        log_problem(problem)
        return problem


_CONVERGER: Final = _cold_start()


def handler(event: Any, context: Context) -> dict[str, Any]:
    """Make and update the thumbnails of all keys in an event; return the answer for its sender.

    Raises the error in the settings, and EventFailed as `handle` does.
    """
    if isinstance(_CONVERGER, ThumbsmithError):
        raise _CONVERGER.with_traceback(None)
    return handle(event, context, _CONVERGER)
