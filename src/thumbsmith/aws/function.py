"""What the function answers to an event of whatever kind."""

from __future__ import annotations

from typing import Any, Protocol

from thumbsmith.aws import batch_operations
from thumbsmith.aws.deadline import Deadline
from thumbsmith.aws.invocation import Invocation, answer, deliver
from thumbsmith.aws.telemetry import Telemetry
from thumbsmith.aws.work import Converger


class Context(Protocol):
    """What is used of Lambda's context: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html."""

    @property
    def function_name(self) -> str:
        """Return the function's name."""
        ...

    @property
    def aws_request_id(self) -> str:
        """Return what this invocation is called in logs."""
        ...

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the process."""
        ...


def handle(event: Any, context: Context, converger: Converger) -> dict[str, Any]:
    """Return the answer to an event of any kind that is known. Raises HandedBack where there is no other way to say so.

    To a queue's messages that is which of them failed, see `deliver`; to a job of S3 Batch Operations the result of
    each task, see `batch_operations`; to anything else what became of the keys, see `answer`.
    """
    invocation = Invocation(
        converger,
        Telemetry(context.function_name, context.aws_request_id),
        Deadline.after(context.get_remaining_time_in_millis() / 1000, converger.settings.recipe.limits),
    )
    match event:
        case {"Records": [{"eventSource": "aws:sqs"}, *_] as records}:
            return deliver(records, invocation)
        case {"invocationSchemaVersion": _}:
            return batch_operations.carry_out(event, invocation)
    return answer(event, invocation)
