"""`thumbsmith cost --images N --megapixels M`: the estimated cost of many photographs on AWS, by line."""

from __future__ import annotations

from typing import Annotated, cast, get_args

import typer

from thumbsmith.bulk.cost import MILLION, SOURCE_BYTES_PER_PIXEL, Bill, Model, Way, source_amount
from thumbsmith.cli.arguments import Json, RecipeOption, recipe_from, refuse_unused
from thumbsmith.cli.terminal import emit, format_duration, parse_count
from thumbsmith.environment import LAMBDA_CORE_MEGABYTES
from thumbsmith.errors import UsageError


def cost(
    context: typer.Context,
    images: Annotated[str, typer.Option("--images", metavar="N", help="Number of images, such as 1000 or 1e6.")],
    megapixels: Annotated[
        float, typer.Option("--megapixels", metavar="MP", min=0.01, help="Size of each image in megapixels.")
    ] = 12,
    size: Annotated[
        float | None,
        typer.Option(
            "--megabytes",
            metavar="MB",
            min=0,
            help="Size of each file in megabytes. Default: that of a typical JPEG with these pixels.",
        ),
    ] = None,
    recipe: RecipeOption = None,
    via: Annotated[
        str,
        typer.Option(
            "--via", metavar="WAY", help="queue: functions and a queue. batch: S3 Batch Operations. here: one machine."
        ),
    ] = "queue",
    milliseconds: Annotated[
        float | None,
        typer.Option(
            "--milliseconds",
            metavar="MS",
            min=0,
            help="CPU time for one image: CpuMilliseconds in the log of your function. Default: a value that we"
            " measured.",
        ),
    ] = None,
    memory: Annotated[
        int, typer.Option("--memory", metavar="MB", min=128, max=10240, help="Memory of the function in MB.")
    ] = LAMBDA_CORE_MEGABYTES,
    at_once: Annotated[
        int, typer.Option("--at-once", metavar="N", min=1, help="Number of concurrent functions, or of jobs with here.")
    ] = 100,
    storage: Annotated[
        bool, typer.Option("--storage", metavar="", help="Add the cost of storing the thumbnails for a month.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the estimated cost of thumbnails for many images on AWS, by line.

    The prices are the list prices of us-east-1 without the free tier. The command sends no requests.

    Examples:
      thumbsmith cost --images 1e6 --megapixels 12

      thumbsmith cost --images 1e9 --megapixels 8 --recipe shop.toml --via batch --storage
    """
    if via not in get_args(Way):
        raise UsageError(f"--via: expected queue, batch or here, found {via}")
    if via == "here":
        refuse_unused(context, ["memory"], "with --via queue or batch")
    model = Model(
        recipe=recipe_from(recipe),
        way=cast(Way, via),
        milliseconds=milliseconds,
        megabytes=memory,
        megapixels=megapixels,
    )
    size_bytes = size * 1e6 if size is not None else megapixels * MILLION * SOURCE_BYTES_PER_PIXEL
    amount = source_amount(size_bytes) * parse_count("--images", images)
    lines = dict(model.bill(amount).lines)
    if storage:
        lines["storage, a month"] = model.storage_dollars(amount)
    _print_bill(Bill(lines), model.seconds(amount, at_once), as_json=as_json)


def _print_bill(bill: Bill, seconds: float, *, as_json: bool) -> None:
    if as_json:
        lines = {name: round(dollars, 4) for name, dollars in bill.lines.items()}
        emit("cost", lines=lines, dollars=round(bill.total, 4), seconds=round(seconds, 1))
        return
    for line in bill_lines(bill):
        typer.echo(line)
    typer.echo(f"about {format_duration(seconds)}")


def bill_lines(bill: Bill) -> list[str]:
    """Return the lines of a bill for people, without those that cost nothing."""
    lines = [(name, dollars) for name, dollars in bill.lines.items() if dollars]
    return [f"{name:<20} {dollars:12,.2f} $" for name, dollars in [*lines, ("total", bill.total)]]
