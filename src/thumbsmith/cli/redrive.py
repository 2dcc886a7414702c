"""`thumbsmith redrive QUEUE [SRC DST]`: explain dead letters, and send them back to their queue."""

from __future__ import annotations

import click

from thumbsmith.backfill.clients import open_queue
from thumbsmith.backfill.redrive import DeadLetter, source_queue
from thumbsmith.backfill.redrive import redrive as redrive_letters
from thumbsmith.cli.arguments import json_option, recipe_option, refuse_unused
from thumbsmith.cli.command import Number, command
from thumbsmith.cli.scope import scope_of
from thumbsmith.cli.terminal import emit
from thumbsmith.cli.wording import plural, printable
from thumbsmith.errors import UsageError
from thumbsmith.reconcile.protocol import DEFAULTS


@command()
@click.argument("queue", metavar="QUEUE", help="The dead-letter queue: sqs://NAME, or its URL.")
@click.argument("stores", metavar="[SRC DST]", nargs=-1, help="The source and the destination, to explain each key.")
@click.option("--to", metavar="QUEUE", help="The queue to send to. Default: the queue that they came from.")
@click.option("--dry-run", is_flag=True, help="Send nothing; only print the messages and the reasons.")
@click.option(
    "--max",
    "most",
    metavar="N",
    type=Number(1),
    default=1_000_000,
    help="Maximum number of messages. Default: 1000000.",
)
@recipe_option
@json_option
@click.pass_context
def redrive(
    context: click.Context,
    queue: str,
    stores: tuple[str, ...],
    to: str | None,
    dry_run: bool,
    most: int,
    recipe: str | None,
    as_json: bool,
) -> int:
    """Send dead letters back to their queue, and print for each the keys and their state.

    Each message is sent before it is deleted, so none is lost. A message that cannot be read is printed and stays.

    Examples:
      thumbsmith redrive sqs://my-dead-letters s3://my-photos s3://my-thumbnails --dry-run

      thumbsmith redrive sqs://my-dead-letters
    """
    if len(stores) not in {0, 2}:
        raise UsageError(f"expected QUEUE alone, or QUEUE SRC DST, found {len(stores) + 1} arguments")
    if not stores:
        refuse_unused(context, ["recipe"], "with SRC and DST")
    if dry_run:
        refuse_unused(context, ["to"], "without --dry-run")
    scope = scope_of(stores[0], stores[1], recipe, DEFAULTS) if stores else None
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
        click.echo(f"{plural(found, 'dead letter')}: {sent:,} sent back, {unreadable:,} unreadable")
    return 1 if unreadable else 0


def _print_letter(letter: DeadLetter, *, as_json: bool) -> None:
    keys = [f"{each.bucket}/{each.key}" for each in letter.changes]
    states = [{"key": each.key, "state": each.state or "none", "why": each.why} for each in letter.explanations]
    if as_json:
        message, explained = letter.message, {"stands": states or None, "unexplained": letter.unexplained}
        word = "sent" if letter.sent else "kept" if letter.readable else "unreadable"
        emit("letter", id=message.id, receives=message.receives, outcome=word, objects=keys, **explained)
        return
    if not letter.readable:
        click.echo(f"unreadable {letter.message.id}: {printable(letter.message.body[:200])}")
    for key in keys if not states else ():
        click.echo(f"{printable(key)}{f': {printable(letter.unexplained)}' if letter.unexplained else ''}")
    for each in states:
        click.echo(f"{each['state']:9} {printable(str(each['key']))}: {printable(str(each['why']))}")
