"""`thumbsmith cost --images N --megapixels M`: the estimated cost of many photographs on AWS, by line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, get_args

import click

from thumbsmith.bulk.cost import (
    MILLION,
    SECONDS_PER_REQUEST,
    SOURCE_BYTES_PER_PIXEL,
    Bill,
    Model,
    Way,
    source_amount,
)
from thumbsmith.bulk.prices import PRICES, Prices
from thumbsmith.cli.arguments import json_option, recipe_from, recipe_option, refuse_unused
from thumbsmith.cli.command import Number, Words, command
from thumbsmith.cli.terminal import emit
from thumbsmith.cli.wording import format_duration, parse_count
from thumbsmith.environment import LAMBDA_DEFAULT_MEGABYTES

# Characters for the name of a line of a bill.
_NAME_WIDTH: Final = 20


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
    default="uploads",
    help="uploads: events of new images. queue: a backfill. batch: S3 Batch Operations. here: one machine.",
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
    default=LAMBDA_DEFAULT_MEGABYTES,
    help=f"Memory of the function in MB. Default: {LAMBDA_DEFAULT_MEGABYTES}.",
)
@click.option(
    "--at-once",
    metavar="N",
    type=Number(1),
    default=100,
    help="Number of concurrent functions, or of jobs with here. Default: 100.",
)
@click.option(
    "--latency",
    metavar="MS",
    type=Number(0, fraction=True),
    help=f"Time of a request to S3 in milliseconds. Default: {1000 * SECONDS_PER_REQUEST:g}.",
)
@click.option("--prices", "prices_file", metavar="FILE", help="Your prices in TOML, such as thousand_puts = 0.0054.")
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
    latency: float | None,
    prices_file: str | None,
    storage: bool,
    as_json: bool,
) -> None:
    """Print the estimated cost of thumbnails for many images on AWS, by line.

    The prices are the list prices of us-east-1 without the free tier. The command sends no requests.

    Uploads have two prices. In a flood, functions get ten images at a time. In a trickle, they get one at a time, and
    wait for S3 without other work.

    Examples:
      thumbsmith cost --images 1e6 --megapixels 12

      thumbsmith cost --images 1e9 --megapixels 8 --recipe shop.toml --via batch --storage

      thumbsmith cost --images 1e6 --latency 40 --prices ours.toml
    """
    if via == "here":
        refuse_unused(context, ["memory", "latency"], "with --via uploads, queue or batch")
    model = Model(
        recipe=recipe_from(recipe),
        way=via,
        milliseconds=milliseconds,
        megabytes=memory,
        request_seconds=SECONDS_PER_REQUEST if latency is None else latency / 1000,
        prices=Prices.load(prices_file) if prices_file else PRICES,
        megapixels=megapixels,
    )
    size_bytes = size * 1e6 if size is not None else megapixels * MILLION * SOURCE_BYTES_PER_PIXEL
    amount = source_amount(size_bytes, new=True) * parse_count("--images", images)
    models = [model, replace(model, trickle=True)] if via == "uploads" else [model]
    bills = [each.bill(amount) for each in models]
    if storage:
        bills = [Bill({**bill.lines, "storage, a month": model.storage_dollars(amount)}) for bill in bills]
    _print_bills(bills, model.seconds(amount, at_once), as_json=as_json)


def _print_bills(bills: list[Bill], seconds: float, *, as_json: bool) -> None:
    """Print one bill, or those of a flood and of a trickle, and the time of the first."""
    if as_json:
        first, *others = [_rounded(bill) for bill in bills]
        trickle = {"trickle": others[0]} if others else {}
        emit("cost", **first, seconds=round(seconds, 1), **trickle)
        return
    if len(bills) > 1:
        click.echo(f"{'':<{_NAME_WIDTH}} {'flood':>12}   {'trickle':>12}")
    for lines in zip(*map(bill_lines, bills), strict=True):
        click.echo(" ".join([lines[0], *(line[_NAME_WIDTH:] for line in lines[1:])]))
    click.echo(format_duration(seconds) + (" in a flood" if len(bills) > 1 else ""))


def _rounded(bill: Bill) -> dict[str, Any]:
    lines = {name: round(dollars, 4) for name, dollars in bill.lines.items()}
    return {"lines": lines, "dollars": round(bill.total, 4)}


def bill_lines(bill: Bill) -> list[str]:
    """Return the lines of a bill for people, without those that cost nothing."""
    lines = [(name, dollars) for name, dollars in bill.lines.items() if dollars]
    return [f"{name:<{_NAME_WIDTH}} {dollars:12,.2f} $" for name, dollars in [*lines, ("total", bill.total)]]
