"""`thumbsmith redrive QUEUE [SRC DST]`: dead letters, what they were about and why, sent back to their queue."""

from __future__ import annotations

from typing import Annotated

import typer

from thumbsmith.backfill.clients import open_queue
from thumbsmith.backfill.redrive import DeadLetter, source_queue
from thumbsmith.backfill.redrive import redrive as redrive_letters
from thumbsmith.cli.arguments import Json, RecipeOption, refuse_ignored, scope_of
from thumbsmith.cli.terminal import emit, shown
from thumbsmith.errors import UsageError
from thumbsmith.reconcile.effects import DEFAULTS


def redrive(
    context: typer.Context,
    queue: Annotated[str, typer.Argument(metavar="QUEUE", help="The queue of dead letters: sqs://NAME, or its URL.")],
    source: Annotated[str | None, typer.Argument(metavar="[SRC", help="With DST: each key is explained.")] = None,
    destination: Annotated[str | None, typer.Argument(metavar="DST]", help="Where its thumbnails are.")] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="QUEUE", help="Send them there. Else to the queue they came from.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", metavar="", help="Only say what is in it, and why.")] = False,
    most: Annotated[int, typer.Option("--max", metavar="N", min=1, help="At most so many messages.")] = 1_000_000,
    recipe: RecipeOption = None,
    as_json: Json = False,
) -> None:
    """Send dead letters back to their queue, saying of each what it was about and how that stands.

    Each is sent before it is deleted, so that none is lost. What nobody understands is told, and stays.

    Examples:
      thumbsmith redrive sqs://my-dead-letters s3://my-photos s3://my-thumbnails --dry-run

      thumbsmith redrive sqs://my-dead-letters
    """
    if (source is None) != (destination is None):
        raise UsageError("expected SRC and DST, or neither, found one of them")
    if source is None:
        refuse_ignored(context, ["recipe"], "with SRC and DST")
    if dry_run:
        refuse_ignored(context, ["to"], "without --dry-run")
    scope = scope_of(source, str(destination), recipe, DEFAULTS) if source else None
    dead = open_queue(queue)
    target = None if dry_run else open_queue(to) if to else source_queue(dead)
    sent = unreadable = found = 0
    for letter in redrive_letters(dead, target, scope, most):
        found += 1
        sent += letter.sent
        unreadable += not letter.readable
        _tell(letter, as_json=as_json)
    if as_json:
        emit("summary", messages=found, sent=sent, unreadable=unreadable)
    else:
        typer.echo(f"{found:,} dead letters: {sent:,} sent back, {unreadable:,} that nobody understands")
    raise typer.Exit(1 if unreadable else 0)


def _tell(letter: DeadLetter, *, as_json: bool) -> None:
    keys = [f"{each.bucket}/{each.key}" for each in letter.changes]
    explanations = [{"key": each.key, "state": each.state or "none", "why": each.why} for each in letter.explanations]
    if as_json:
        message, given = letter.message, {"stands": explanations or None, "unexplained": letter.unexplained}
        word = "sent" if letter.sent else "kept" if letter.readable else "unreadable"
        emit("letter", id=message.id, receives=message.receives, outcome=word, objects=keys, **given)
        return
    if not letter.readable:
        typer.echo(f"unreadable {letter.message.id}: {shown(letter.message.body[:200])}")
    for key in keys if not explanations else ():
        typer.echo(f"{shown(key)}{f': {shown(letter.unexplained)}' if letter.unexplained else ''}")
    for each in explanations:
        typer.echo(f"{each['state']:9} {shown(str(each['key']))}: {shown(str(each['why']))}")
