"""The Lambda function: thumbsmith.aws.handler.handler. What is done when this is loaded is done once for a sandbox.

A worker process is launched before all else: it takes longest, on a core of its own, while the rest is loaded here.
"""

from __future__ import annotations

from thumbsmith.worker.launch import Launched

_LAUNCHED = Launched()

from typing import Any, Final, Protocol  # noqa: E402 - see above, as all that follows

from thumbsmith.aws import batch_operations  # noqa: E402
from thumbsmith.aws.deadline import Deadline  # noqa: E402
from thumbsmith.aws.invocation import Invocation, answer, deliver  # noqa: E402
from thumbsmith.aws.machine import started_workers, worker_count  # noqa: E402
from thumbsmith.aws.settings import from_environment  # noqa: E402
from thumbsmith.aws.telemetry import Telemetry, tell_problem  # noqa: E402
from thumbsmith.aws.work import THREADS_A_WORKER, Converger  # noqa: E402
from thumbsmith.environment import function_memory  # noqa: E402
from thumbsmith.errors import ThumbsmithError  # noqa: E402


class Context(Protocol):
    """What is used of Lambda's context: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html."""

    function_name: str
    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the process."""
        ...


def handle(event: Any, context: Context, converger: Converger) -> dict[str, Any]:
    """Return the answer to an event of any kind that is known. Raises HandedBack where there is no other way to say so.

    To an event of a queue that is always which messages failed, see `deliver`; to a job of S3 Batch Operations the
    result of each task, see `batch_operations`; to others what became of the keys, see `answer`.
    """
    limits = converger.settings.recipe.limits
    invocation = Invocation(
        converger,
        Telemetry(context.function_name, context.aws_request_id),
        Deadline.after(context.get_remaining_time_in_millis() / 1000, limits),
    )
    match event:
        case {"Records": [{"eventSource": "aws:sqs"}, *_] as records}:
            return deliver(records, invocation)
        case {"invocationSchemaVersion": _}:
            return batch_operations.carry_out(event, invocation)
    return answer(event, invocation)


def _converger() -> Converger | ThumbsmithError:
    """Return what makes keys right by the environment's settings, or why there is none: also told, once."""
    memory = function_memory()
    workers = started_workers(memory, _LAUNCHED)
    try:
        return Converger(from_environment(), workers, THREADS_A_WORKER * worker_count(memory))
    except ThumbsmithError as problem:
        tell_problem(problem)
        return problem


_CONVERGER: Final = _converger()


def handler(event: Any, context: Context) -> dict[str, Any]:
    """Make the thumbnails of all keys right that the event is about. Raises what is wrong with the settings."""
    if isinstance(_CONVERGER, ThumbsmithError):
        raise _CONVERGER.with_traceback(None)
    return handle(event, context, _CONVERGER)
