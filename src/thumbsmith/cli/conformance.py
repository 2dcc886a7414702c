"""`thumbsmith conformance [DST | STACK | SRC DST]`: hard pictures, and whether what is made of them is right."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from thumbsmith.cli.arguments import PATIENCE, Json, RecipeOption, recipe_from, refuse_ignored
from thumbsmith.cli.aws import deployment_of
from thumbsmith.cli.terminal import emit, shown
from thumbsmith.conformance.cases import cases
from thumbsmith.conformance.checks import Result, run_here, run_there
from thumbsmith.store import Store, open_store, refuse_overlap
from thumbsmith.store.memory import MemoryStore
from thumbsmith.worker import Workers

WAIT: Final = 120.0

# What CloudFormation takes for a stack's name: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
STACK: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")


def conformance(
    context: typer.Context,
    first: Annotated[
        str | None,
        typer.Argument(metavar="[STACK|DST|SRC", help="A deployed stack, a destination, or where images come from."),
    ] = None,
    second: Annotated[str | None, typer.Argument(metavar="DST]", help="Where the thumbnails of SRC come.")] = None,
    recipe: RecipeOption = None,
    prefix: Annotated[
        str,
        typer.Option("--prefix", metavar="P", help="Begins the keys of the pictures, which are removed at the end."),
    ] = "thumbsmith-conformance/",
    wait: Annotated[float, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait at most.")] = WAIT,
    as_json: Json = False,
) -> None:
    """Make thumbnails of small hard pictures, and check that each is right.

    With STACK, or SRC and DST, your deployment does: the pictures are put into its source, their thumbnails awaited,
    and the pictures removed. With DST alone this machine's engine makes them there, and removes them. With nothing it
    does so in memory.

    Examples:
      thumbsmith conformance

      thumbsmith conformance Thumbsmith

      thumbsmith conformance s3://my-photos s3://my-thumbnails
    """
    fresh = f"{prefix}{secrets.token_hex(4)}/"  # two runs at once do not disturb each other
    if second is None and not (first and _is_stack(first)):
        refuse_ignored(context, ["wait"], "with STACK, or SRC and DST")
        results = _here(open_store(first) if first else MemoryStore("conformance"), recipe, fresh)
    else:
        refuse_ignored(context, ["recipe"], "with DST alone, or without arguments: a deployment has its own recipe")
        results = run_there(tuple(cases()), *_deployed(str(first), second), fresh, wait)
    wrong = 0
    for result in results:
        wrong += bool(result.wrong)
        _tell(result, as_json=as_json)
    if not as_json:
        typer.echo("all as it must be" if not wrong else f"{wrong} not as they must be")
    raise typer.Exit(1 if wrong else 0)


def _is_stack(name: str) -> bool:
    """Return whether this is the name of a stack: it could be one, and no folder here is called so."""
    return STACK.fullmatch(name) is not None and not Path(name).is_dir()


def _here(destination: Store, recipe: RecipeOption, prefix: str) -> Iterator[Result]:
    with Workers(1) as workers:
        yield from run_here(tuple(cases()), recipe_from(recipe), workers, destination.as_destination(), prefix)


def _deployed(first: str, second: str | None) -> tuple[Store, Store]:
    """Return source and destination of a stack, or the two that are named."""
    if second is None:
        found = deployment_of(first)
        return found.source, found.destination
    source = open_store(first, patience=PATIENCE)
    destination = open_store(second, patience=PATIENCE).as_destination()
    refuse_overlap(source, destination)
    source.reachable()
    return source, destination


def _tell(result: Result, *, as_json: bool) -> None:
    if as_json:
        emit("case", name=result.name, right=not result.wrong, wrong=list(result.wrong))
        return
    typer.echo(f"{'right' if not result.wrong else 'WRONG':6} {result.name}")
    for mistake in result.wrong:
        typer.echo(f"       {shown(mistake)}")
