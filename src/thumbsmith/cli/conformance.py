"""`thumbsmith conformance [DST | STACK | SRC DST]`: make thumbnails of difficult test images, and check each result."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from thumbsmith.cli.arguments import STORE_TIMEOUT_SECONDS, json_option, recipe_from, recipe_option, refuse_unused
from thumbsmith.cli.aws_check import deployment_of
from thumbsmith.cli.command import Number, command
from thumbsmith.cli.terminal import emit, styled
from thumbsmith.cli.wording import printable
from thumbsmith.conformance.cases import cases
from thumbsmith.conformance.checks import Result, run_deployment, run_local
from thumbsmith.errors import UsageError
from thumbsmith.store import Store, open_store, refuse_overlap
from thumbsmith.store.memory import MemoryStore
from thumbsmith.worker import Workers

WAIT_SECONDS: Final = 120.0

# Names that CloudFormation allows: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
STACK_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")


@command(no_args_is_help=False)
@click.argument(
    "places",
    metavar="[STACK|DST|SRC DST]",
    nargs=-1,
    help="A deployed stack, a destination, or source and destination of a deployment.",
)
@recipe_option
@click.option(
    "--prefix",
    metavar="P",
    default="thumbsmith-conformance/",
    help="Prefix of the keys of the test images, which are deleted at the end. Default: thumbsmith-conformance/.",
)
@click.option(
    "--wait",
    metavar="SECONDS",
    type=Number(0, fraction=True),
    default=WAIT_SECONDS,
    help=f"Maximum time to wait for the deployment. Default: {WAIT_SECONDS:g}.",
)
@json_option
@click.pass_context
def conformance(
    context: click.Context,
    places: tuple[str, ...],
    recipe: str | None,
    prefix: str,
    wait: float,
    as_json: bool,
) -> int:
    """Make thumbnails of small, difficult test images, and check that each is correct.

    With STACK, or with SRC and DST, your deployment makes the thumbnails: the command puts test images into its source,
    waits for the thumbnails, and deletes the test images. With DST alone, this machine makes the thumbnails in DST and
    deletes them. Without arguments, it makes them in memory.

    Examples:
      thumbsmith conformance

      thumbsmith conformance Thumbsmith

      thumbsmith conformance s3://my-photos s3://my-thumbnails
    """
    if len(places) > 2:
        raise UsageError(f"expected STACK, DST, or SRC DST, found {len(places)} arguments")
    first, second = (*places, None, None)[:2]
    run_prefix = f"{prefix}{secrets.token_hex(4)}/"  # separates two runs at the same time
    if second is None and not (first and _is_stack(first)):
        refuse_unused(context, ["wait"], "with STACK, or SRC and DST")
        results = _run_local(open_store(first) if first else MemoryStore("conformance"), recipe, run_prefix)
    else:
        refuse_unused(context, ["recipe"], "with DST alone, or without arguments: a deployment has its own recipe")
        results = run_deployment(tuple(cases()), *_deployed_stores(str(first), second), run_prefix, wait)
    wrong = 0
    for result in results:
        wrong += bool(result.wrong)
        _print_result(result, as_json=as_json)
    if not as_json:
        click.echo(styled("all correct", "green") if not wrong else styled(f"{wrong:,} wrong", "red"))
    return 1 if wrong else 0


def _is_stack(name: str) -> bool:
    """Return whether this is the name of a stack: a valid name, and not the name of a folder here."""
    return STACK_NAME.fullmatch(name) is not None and not Path(name).is_dir()


def _run_local(destination: Store, recipe: str | None, prefix: str) -> Iterator[Result]:
    with Workers(1) as workers:
        yield from run_local(tuple(cases()), recipe_from(recipe), workers, destination.as_destination(), prefix)


def _deployed_stores(first: str, second: str | None) -> tuple[Store, Store]:
    """Return source and destination: those of the stack `first`, or the two stores named."""
    if second is None:
        deployment = deployment_of(first)
        return deployment.source, deployment.destination
    source = open_store(first, outage_seconds=STORE_TIMEOUT_SECONDS)
    destination = open_store(second, outage_seconds=STORE_TIMEOUT_SECONDS).as_destination()
    refuse_overlap(source, destination)
    source.check_reachable()
    return source, destination


def _print_result(result: Result, *, as_json: bool) -> None:
    if as_json:
        emit("case", name=result.name, right=not result.wrong, wrong=list(result.wrong))
        return
    word = styled("WRONG ", "red") if result.wrong else styled("right ", "green")
    click.echo(f"{word} {result.name}")
    for mistake in result.wrong:
        click.echo(f"       {printable(mistake)}")
