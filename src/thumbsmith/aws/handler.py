"""The Lambda function: thumbsmith.aws.handler.handler. What is done when this is loaded is done once for a sandbox.

A worker process is launched before all else: it takes longest, on a core of its own, while the rest is loaded here.
"""

from __future__ import annotations

from thumbsmith.worker.launch import Launched

_LAUNCHED = Launched()

from typing import Any, Final  # noqa: E402 - see above, as all that follows

from thumbsmith.aws.converger import THREADS_A_WORKER, Converger  # noqa: E402
from thumbsmith.aws.invocation import Context, handle  # noqa: E402
from thumbsmith.aws.settings import from_environment, larger_machine  # noqa: E402
from thumbsmith.aws.telemetry import tell_isolation, tell_problem  # noqa: E402
from thumbsmith.aws.worker_memory import started_workers, worker_count  # noqa: E402
from thumbsmith.environment import function_memory  # noqa: E402
from thumbsmith.errors import ThumbsmithError  # noqa: E402


def _converger() -> Converger | ThumbsmithError:
    """Return what makes keys right by the environment's settings, or why there is none.

    Prints which layers of isolation hold here, or what is wrong with the settings: once for a sandbox.
    """
    memory = function_memory()
    try:
        workers = started_workers(memory, _LAUNCHED)
        settings = from_environment()
        tell_isolation(workers.layers())
        return Converger(settings, workers, THREADS_A_WORKER * worker_count(memory), larger_machine(settings))
    except ThumbsmithError as problem:
        tell_problem(problem)
        return problem


_CONVERGER: Final = _converger()


def handler(event: Any, context: Context) -> dict[str, Any]:
    """Make the thumbnails of all keys right that the event is about. Raises what is wrong with the settings."""
    if isinstance(_CONVERGER, ThumbsmithError):
        raise _CONVERGER.with_traceback(None)
    return handle(event, context, _CONVERGER)
