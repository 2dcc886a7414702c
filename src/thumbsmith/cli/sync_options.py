"""The options of `thumbsmith sync` for AWS, and the options that each method of syncing uses."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import click

from thumbsmith.cli.arguments import F, refuse_unused
from thumbsmith.cli.command import Number

# The names of the options for AWS.
ON_AWS: Final = ("via", "max_usd", "rate", "milliseconds", "wait", "drain", "stop", "inventory")

_OPTIONS: Final = (
    click.option(
        "--via",
        metavar="WAY",
        help="Let functions on AWS make the thumbnails: sqs://QUEUE, the URL of a queue, or batch://STACK for S3 Batch"
        " Operations. Default: make them on this machine.",
    ),
    click.option(
        "--max-usd",
        metavar="USD",
        type=Number(0, fraction=True),
        help="Maximum cost, as estimated. Default: no maximum.",
    ),
    click.option(
        "--rate",
        metavar="N",
        type=Number(0, fraction=True),
        help="Maximum number of messages per second. Default: no maximum.",
    ),
    click.option(
        "--milliseconds",
        metavar="MS",
        type=Number(0, fraction=True),
        help="CPU time for one image, for the estimate. Default: a value that we measured.",
    ),
    click.option("--wait/--no-wait", default=True, help="Wait until all messages are processed. Default: wait."),
    click.option("--drain", is_flag=True, help="Send nothing. Wait for the messages in the queue."),
    click.option("--stop", is_flag=True, help="Send nothing. Delete the messages that wait in the queue."),
    click.option(
        "--inventory",
        metavar="URL",
        help="With batch: process all objects in an S3 Inventory. URL is its manifest.json. Default: list the bucket.",
    ),
)


def aws_options(function: F) -> F:
    """Add the options for AWS to a command."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


class Method(StrEnum):
    """How sync makes the thumbnails. The value is its name in messages."""

    LOCAL = "a run on this machine"
    DRY_RUN = "--dry-run"
    QUEUE = "--via a queue"
    BATCH = "--via batch"


# The methods that use an option. Every method uses the other options.
USED_BY: Final = {
    "jobs": (Method.LOCAL,),
    "yes": (Method.LOCAL, Method.QUEUE, Method.BATCH),
    "max_usd": (Method.QUEUE, Method.BATCH),
    "rate": (Method.QUEUE,),
    "milliseconds": (Method.QUEUE, Method.BATCH),
    "wait": (Method.QUEUE,),
    "drain": (Method.QUEUE,),
    "stop": (Method.QUEUE,),
    "inventory": (Method.BATCH,),
}

# Options without effect when another option is given, by method and that other option.
_FOR_SENDING: Final = ("max_usd", "rate", "yes", "retry_rejected")
UNUSED_WITH: Final[dict[Method, dict[str, tuple[str, ...]]]] = {
    Method.QUEUE: {
        "stop": ("drain", "dry_run", "wait", "prefix", "milliseconds", *_FOR_SENDING),
        "drain": ("dry_run", "wait", *_FOR_SENDING),
        "dry_run": ("wait", "rate", "max_usd"),
    },
    Method.BATCH: {"inventory": ("prefix", "retry_rejected")},
}


def method_of(via: str | None, *, dry_run: bool) -> Method:
    """Return the method that the options select. Without a queue's address, `via` means batch."""
    if via is None:
        return Method.DRY_RUN if dry_run else Method.LOCAL
    from thumbsmith.backfill.clients import is_queue  # noqa: PLC0415 - only runs on AWS load it

    return Method.QUEUE if is_queue(via) else Method.BATCH


def refuse_unused_options(context: click.Context, method: Method) -> None:
    """Raise UsageError if the user gave an option, with any value, that this run would ignore."""
    for name, methods in USED_BY.items():
        if method not in methods:
            refuse_unused(context, [name], f"with {', '.join(methods)}")
    for name, unused in UNUSED_WITH.get(method, {}).items():
        if context.params[name]:
            refuse_unused(context, unused, f"without --{name.replace('_', '-')}")
