"""`thumbsmith cost --images N --megapixels M`: the estimated cost of many photographs on AWS, by line."""

from __future__ import annotations

from typing import get_args

import click

from thumbsmith.bulk.cost import MILLION, SOURCE_BYTES_PER_PIXEL, Bill, Model, Way, source_amount
from thumbsmith.cli.arguments import json_option, recipe_from, recipe_option, refuse_unused
from thumbsmith.cli.command import Number, Words, command
from thumbsmith.cli.terminal import emit
from thumbsmith.cli.wording import format_duration, parse_count
from thumbsmith.environment import LAMBDA_CORE_MEGABYTES


@command()
@click.option("--images", required=True, metavar="N", help="Number of images, such as 1000 or 1e6.")
@click.option(
    "--megapixels",
    metavar="MP",
    type=Number(0.01, fraction=True),
    default=12,
    help="Size of each image in megapixels. Default: 12.",
)
@click.option(
    "--megabytes",
    "size",
    metavar="MB",
    type=Number(0, fraction=True),
    help="Size of each file in megabytes. Default: that of a typical JPEG with these pixels.",
)
@recipe_option
@click.option(
    "--via",
    metavar="WAY",
    type=Words(get_args(Way)),
    default="queue",
    help="queue: functions and a queue. batch: S3 Batch Operations. here: one machine. Default: queue.",
)
@click.option(
    "--milliseconds",
    metavar="MS",
    type=Number(0, fraction=True),
    help="CPU time for one image: CpuMilliseconds in the log of your function. Default: a value that we measured.",
)
@click.option(
    "--memory",
    metavar="MB",
    type=Number(128, 10240),
    default=LAMBDA_CORE_MEGABYTES,
    help=f"Memory of the function in MB. Default: {LAMBDA_CORE_MEGABYTES}.",
)
@click.option(
    "--at-once",
    metavar="N",
    type=Number(1),
    default=100,
    help="Number of concurrent functions, or of jobs with here. Default: 100.",
)
@click.option("--storage", is_flag=True, help="Add the cost of storing the thumbnails for a month.")
@json_option
@click.pass_context
def cost(
    context: click.Context,
    images: str,
    megapixels: float,
    size: float | None,
    recipe: str | None,
    via: Way,
    milliseconds: float | None,
    memory: int,
    at_once: int,
    storage: bool,
    as_json: bool,
) -> None:
    """Print the estimated cost of thumbnails for many images on AWS, by line.

    The prices are the list prices of us-east-1 without the free tier. The command sends no requests.

    Examples:
      thumbsmith cost --images 1e6 --megapixels 12

      thumbsmith cost --images 1e9 --megapixels 8 --recipe shop.toml --via batch --storage
    """
    if via == "here":
        refuse_unused(context, ["memory"], "with --via queue or batch")
    model = Model(
        recipe=recipe_from(recipe),
        way=via,
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
        click.echo(line)
    click.echo(format_duration(seconds))


def bill_lines(bill: Bill) -> list[str]:
    """Return the lines of a bill for people, without those that cost nothing."""
    lines = [(name, dollars) for name, dollars in bill.lines.items() if dollars]
    return [f"{name:<20} {dollars:12,.2f} $" for name, dollars in [*lines, ("total", bill.total)]]
