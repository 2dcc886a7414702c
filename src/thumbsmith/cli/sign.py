"""`thumbsmith sign`: print the signed address of a thumbnail that `thumbsmith serve` makes on demand."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from thumbsmith.environment import Setting
from thumbsmith.errors import UsageError
from thumbsmith.signing import OPTIONS, recipe_of, signed_path


def sign(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key of the image.")],
    options: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="Fields of a variant, such as width=200 format=webp.")
    ],
    seconds: Annotated[
        int, typer.Option("--seconds", min=1, metavar="N", help="The time for which the address is valid, in seconds.")
    ] = 86_400,
    server: Annotated[
        str, typer.Option("--server", metavar="URL", help="The address of thumbsmith serve.")
    ] = "http://127.0.0.1:8080",
) -> None:
    """Print the signed address of a thumbnail that is in no recipe. `thumbsmith serve` makes it on demand.

    Both commands read the secret from $THUMBSMITH_SIGNING_SECRET.

    Examples:
      thumbsmith sign photo.jpg width=300 height=200 fit=cover format=webp
    """
    secret = Setting.SIGNING_SECRET.read()
    if secret is None:
        raise UsageError(f"{Setting.SIGNING_SECRET}: expected the secret for signed addresses, found nothing")
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
