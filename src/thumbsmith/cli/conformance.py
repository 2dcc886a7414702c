"""`thumbsmith conformance [SRC DST]`: hard pictures, and whether what is made of them is right."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Annotated, Final

import typer

from thumbsmith.cli.arguments import PATIENCE, Json, RecipeOption, recipe_from
from thumbsmith.cli.output import emit, shown
from thumbsmith.conformance.cases import cases
from thumbsmith.conformance.runs import Result, run_here, run_there
from thumbsmith.errors import RecipeError
from thumbsmith.store import open_store
from thumbsmith.store.overlap import overlaps
from thumbsmith.worker import Workers

WAIT: Final = 120.0


def conformance(
    source: Annotated[
        str | None, typer.Argument(metavar="[SRC", help="Where your deployment takes images from. Else this machine.")
    ] = None,
    destination: Annotated[str | None, typer.Argument(metavar="DST]", help="Where its thumbnails come.")] = None,
    recipe: RecipeOption = None,
    prefix: Annotated[
        str,
        typer.Option("--prefix", metavar="P", help="Begins the keys of the pictures, which are removed at the end."),
    ] = "thumbsmith-conformance/",
    wait: Annotated[float, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait at most.")] = WAIT,
    as_json: Json = False,
) -> None:
    """Make thumbnails of small hard pictures, and check that each is right.

    With SRC and DST your deployment does: the pictures are put into SRC, their thumbnails awaited in DST, and the
    pictures removed. Without, this machine's engine does, and nothing is written.

    Examples:
      thumbsmith conformance

      thumbsmith conformance s3://my-photos s3://my-thumbnails
    """
    if (source is None) != (destination is None):
        raise RecipeError("expected SRC and DST, or neither, found one of them")
    results = _here(recipe) if source is None else _there(source, str(destination), prefix, wait)
    wrong = 0
    for result in results:
        wrong += bool(result.wrong)
        _tell(result, as_json=as_json)
    if not as_json:
        typer.echo("all as it must be" if not wrong else f"{wrong} not as they must be")
    raise typer.Exit(1 if wrong else 0)


def _here(recipe: RecipeOption) -> Iterator[Result]:
    with Workers(1) as workers:
        yield from run_here(tuple(cases()), recipe_from(recipe), workers)


def _there(source: str, destination: str, prefix: str, wait: float) -> Iterator[Result]:
    sources = open_store(source, patience=PATIENCE)
    thumbs = open_store(destination, patience=PATIENCE).as_destination()
    if overlaps(sources, thumbs):
        raise RecipeError("SRC and DST overlap: expected two places")
    sources.reachable()
    fresh = f"{prefix}{secrets.token_hex(4)}/"  # two runs at once do not disturb each other
    yield from run_there(tuple(cases()), sources, thumbs, fresh, wait)


def _tell(result: Result, *, as_json: bool) -> None:
    if as_json:
        emit("case", name=result.name, right=not result.wrong, wrong=list(result.wrong))
        return
    typer.echo(f"{'right' if not result.wrong else 'WRONG':6} {result.name}")
    for mistake in result.wrong:
        typer.echo(f"       {shown(mistake)}")
