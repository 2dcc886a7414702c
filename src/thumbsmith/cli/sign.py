"""`thumbsmith sign`: print the signed address of a thumbnail that `thumbsmith serve` makes on demand."""

from __future__ import annotations

import sys
import time

import click

from thumbsmith.cli.command import Number, command
from thumbsmith.environment import Setting
from thumbsmith.errors import UsageError
from thumbsmith.signing import OPTIONS, recipe_of, signed_path


@command()
@click.argument("key", metavar="KEY", help="The key of the image.")
@click.argument(
    "options",
    metavar="NAME=VALUE...",
    nargs=-1,
    required=True,
    help="Fields of a variant, such as width=200 format=webp.",
)
@click.option(
    "--seconds",
    type=Number(1),
    default=86_400,
    metavar="N",
    help="The time for which the address is valid, in seconds. Default: 86400, a day.",
)
@click.option(
    "--server",
    metavar="URL",
    default="http://127.0.0.1:8080",
    help="The address of thumbsmith serve. Default: http://127.0.0.1:8080.",
)
def sign(key: str, options: tuple[str, ...], seconds: int, server: str) -> None:
    """Print the signed address of a thumbnail that is in no recipe. `thumbsmith serve` makes it on demand.

    Both commands read the secret from $THUMBSMITH_SIGNING_SECRET.

    Examples:
      thumbsmith sign photo.jpg width=300 height=200 fit=cover format=webp
    """
    secret = Setting.SIGNING_SECRET.read()
    if secret is None:
        raise UsageError(f"{Setting.SIGNING_SECRET} is not set: set it to the secret that thumbsmith serve has")
    fields: dict[str, str] = {}
    for name, value in map(_parse_field, options):
        if fields.setdefault(name, value) != value:
            raise UsageError(f"{name}: expected once, found {fields[name]!r} and {value!r}")
    recipe_of({name: value for name, value in fields.items() if name in OPTIONS})  # raises what the server would refuse
    path = signed_path(key, fields, secret=secret, expires=int(time.time()) + seconds)
    sys.stdout.write(f"{server.rstrip('/')}{path}\n")


def _parse_field(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{text}: expected NAME=VALUE, as width=200")
    return name, value
