"""The options of `thumbsmith sync` for AWS, and the options that each method of syncing uses."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, TypeAlias

import typer

from thumbsmith.cli.arguments import refuse_unused

_ON_AWS: Final[dict[str, Any]] = {"rich_help_panel": "On AWS"}

Via: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--via",
        metavar="WAY",
        help="Let functions on AWS make the thumbnails: sqs://QUEUE, the URL of a queue, or batch://STACK for S3 Batch"
        " Operations. Default: make them on this machine.",
        **_ON_AWS,
    ),
]
MaxUsd: TypeAlias = Annotated[
    float | None,
    typer.Option("--max-usd", metavar="USD", help="Maximum cost, as estimated. Default: no maximum.", **_ON_AWS),
]
Rate: TypeAlias = Annotated[
    float | None,
    typer.Option("--rate", metavar="N", help="Maximum number of messages per second. Default: no maximum.", **_ON_AWS),
]
Milliseconds: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--milliseconds",
        metavar="MS",
        min=0,
        help="CPU time for one image, for the estimate. Default: a value that we measured.",
        **_ON_AWS,
    ),
]
Wait: TypeAlias = Annotated[
    bool,
    typer.Option("--wait/--no-wait", metavar="", help="Wait until all messages are processed.", **_ON_AWS),
]
Drain: TypeAlias = Annotated[
    bool,
    typer.Option("--drain", metavar="", help="Send nothing. Wait for the messages in the queue.", **_ON_AWS),
]
Stop: TypeAlias = Annotated[
    bool,
    typer.Option("--stop", metavar="", help="Send nothing. Delete the messages that wait in the queue.", **_ON_AWS),
]
Inventory: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--inventory",
        metavar="URL",
        help="With batch: process all objects in an S3 Inventory. URL is its manifest.json. Default: list the bucket.",
        **_ON_AWS,
    ),
]


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


def refuse_unused_options(context: typer.Context, method: Method) -> None:
    """Raise UsageError if the user gave an option, with any value, that this run would ignore."""
    for name, methods in USED_BY.items():
        if method not in methods:
            refuse_unused(context, [name], f"with {', '.join(methods)}")
    for name, unused in UNUSED_WITH.get(method, {}).items():
        if context.params[name]:
            refuse_unused(context, unused, f"without --{name.replace('_', '-')}")
