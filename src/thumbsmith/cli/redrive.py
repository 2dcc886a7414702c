"""`thumbsmith redrive QUEUE [SRC DST]`: explain dead letters, and send them back to their queue."""

from __future__ import annotations

from typing import Annotated

import typer

from thumbsmith.backfill.clients import open_queue
from thumbsmith.backfill.redrive import DeadLetter, source_queue
from thumbsmith.backfill.redrive import redrive as redrive_letters
from thumbsmith.cli.arguments import Json, RecipeOption, refuse_unused, scope_of
from thumbsmith.cli.terminal import emit, printable
from thumbsmith.errors import UsageError
from thumbsmith.reconcile.protocol import DEFAULTS


def redrive(
    context: typer.Context,
    queue: Annotated[str, typer.Argument(metavar="QUEUE", help="The dead-letter queue: sqs://NAME, or its URL.")],
    source: Annotated[
        str | None, typer.Argument(metavar="[SRC", help="The source. With DST, each key is explained.")
    ] = None,
    destination: Annotated[str | None, typer.Argument(metavar="DST]", help="The destination of SRC.")] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="QUEUE", help="The queue to send to. Default: the queue that they came from."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", metavar="", help="Send nothing; only print the messages and the reasons.")
    ] = False,
    most: Annotated[int, typer.Option("--max", metavar="N", min=1, help="Maximum number of messages.")] = 1_000_000,
    recipe: RecipeOption = None,
    as_json: Json = False,
) -> None:
    """Send dead letters back to their queue, and print for each the keys and their state.

    Each message is sent before it is deleted, so none is lost. A message that cannot be read is printed and stays.

    Examples:
      thumbsmith redrive sqs://my-dead-letters s3://my-photos s3://my-thumbnails --dry-run

      thumbsmith redrive sqs://my-dead-letters
    """
    if (source is None) != (destination is None):
        raise UsageError("expected SRC and DST, or neither, found one of them")
    if source is None:
        refuse_unused(context, ["recipe"], "with SRC and DST")
    if dry_run:
        refuse_unused(context, ["to"], "without --dry-run")
    scope = scope_of(source, str(destination), recipe, DEFAULTS) if source else None
    dead_letters = open_queue(queue)
    target = None if dry_run else open_queue(to) if to else source_queue(dead_letters)
    sent = unreadable = found = 0
    for letter in redrive_letters(dead_letters, target, scope, most):
        found += 1
        sent += letter.sent
        unreadable += not letter.readable
        _print_letter(letter, as_json=as_json)
    if as_json:
        emit("summary", messages=found, sent=sent, unreadable=unreadable)
    else:
        typer.echo(f"{found:,} dead letters: {sent:,} sent back, {unreadable:,} unreadable")
    raise typer.Exit(1 if unreadable else 0)


def _print_letter(letter: DeadLetter, *, as_json: bool) -> None:
    keys = [f"{each.bucket}/{each.key}" for each in letter.changes]
    states = [{"key": each.key, "state": each.state or "none", "why": each.why} for each in letter.explanations]
    if as_json:
        message, explained = letter.message, {"stands": states or None, "unexplained": letter.unexplained}
        word = "sent" if letter.sent else "kept" if letter.readable else "unreadable"
        emit("letter", id=message.id, receives=message.receives, outcome=word, objects=keys, **explained)
        return
    if not letter.readable:
        typer.echo(f"unreadable {letter.message.id}: {printable(letter.message.body[:200])}")
    for key in keys if not states else ():
        typer.echo(f"{printable(key)}{f': {printable(letter.unexplained)}' if letter.unexplained else ''}")
    for each in states:
        typer.echo(f"{each['state']:9} {printable(str(each['key']))}: {printable(str(each['why']))}")
