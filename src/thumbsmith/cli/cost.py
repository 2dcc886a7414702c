"""`thumbsmith cost --images N --megapixels M`: what so many photographs would cost on AWS, by line."""

from __future__ import annotations

from typing import Annotated, cast, get_args

import typer

from thumbsmith.bulk.cost import BYTES_A_PIXEL, MILLION, Bill, Model, Way, source
from thumbsmith.cli.arguments import Json, RecipeOption, recipe_from, refuse_ignored
from thumbsmith.cli.terminal import duration, emit, number
from thumbsmith.errors import UsageError

Milliseconds = Annotated[
    float | None,
    typer.Option(
        "--milliseconds",
        metavar="MS",
        min=0,
        help="CPU time of an image, as your function's log says it (CpuMilliseconds). Else a measured one.",
    ),
]
Megabytes = Annotated[int, typer.Option("--memory", metavar="MB", min=128, max=10240, help="Memory of the function.")]


def cost(
    context: typer.Context,
    images: Annotated[str, typer.Option("--images", metavar="N", help="How many: 1000, or 1e6.")],
    megapixels: Annotated[float, typer.Option("--megapixels", metavar="MP", min=0.01, help="Size of each.")] = 12,
    size: Annotated[
        float | None, typer.Option("--megabytes", metavar="MB", min=0, help="Bytes of each, in 10^6. Else a JPEG's.")
    ] = None,
    recipe: RecipeOption = None,
    via: Annotated[str, typer.Option("--via", metavar="WAY", help="queue, batch, or here: on a machine.")] = "queue",
    milliseconds: Milliseconds = None,
    memory: Megabytes = 1769,
    at_once: Annotated[int, typer.Option("--at-once", metavar="N", min=1, help="Functions at once, or jobs.")] = 100,
    storage: Annotated[
        bool, typer.Option("--storage", metavar="", help="Also a month of keeping the thumbnails.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what making the thumbnails of so many photographs costs on AWS, by line.

    List prices of us-east-1, without a free tier. Nothing is asked of anybody.

    Examples:
      thumbsmith cost --images 1e6 --megapixels 12

      thumbsmith cost --images 1e9 --megapixels 8 --recipe shop.toml --via batch --storage
    """
    if via not in get_args(Way):
        raise UsageError(f"--via: expected queue, batch or here, found {via}")
    if via == "here":
        refuse_ignored(context, ["memory"], "with --via queue or batch")
    model = Model(
        recipe=recipe_from(recipe),
        way=cast(Way, via),
        milliseconds=milliseconds,
        megabytes=memory,
        megapixels=megapixels,
    )
    each = size * 1e6 if size is not None else megapixels * MILLION * BYTES_A_PIXEL
    amount = source(each) * number("--images", images)
    lines = dict(model.bill(amount).lines)
    if storage:
        lines["storage, a month"] = model.storing(amount)
    tell(Bill(lines), model.seconds(amount, at_once), as_json=as_json)


def tell(bill: Bill, seconds: float, *, as_json: bool) -> None:
    """Print a bill, and how long it takes."""
    if as_json:
        lines = {name: round(dollars, 4) for name, dollars in bill.lines.items()}
        emit("cost", lines=lines, dollars=round(bill.total, 4), seconds=round(seconds, 1))
        return
    for line in table(bill):
        typer.echo(line)
    typer.echo(f"about {duration(seconds)}")


def table(bill: Bill) -> list[str]:
    """Return a bill's lines for people; what costs nothing is left out."""
    lines = [(name, dollars) for name, dollars in bill.lines.items() if dollars]
    return [f"{name:<20} {dollars:12,.2f} $" for name, dollars in [*lines, ("all", bill.total)]]
