"""`thumbsmith sign`: the address of a picture on demand."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from thumbsmith.environment import SIGNING_SECRET, signing_secret_setting
from thumbsmith.errors import UsageError
from thumbsmith.signing import OPTIONS, recipe_of, signed_path


def sign(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The image, by its key.")],
    options: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="A variant's fields, as width=200 format=webp.")
    ],
    seconds: Annotated[
        int, typer.Option("--seconds", min=1, metavar="N", help="For how long the address holds.")
    ] = 86_400,
    server: Annotated[
        str, typer.Option("--server", metavar="URL", help="The address of thumbsmith serve.")
    ] = "http://127.0.0.1:8080",
) -> None:
    """Print the address of a picture that no recipe names, for `thumbsmith serve` to make when it is asked for.

    Both take the secret from $THUMBSMITH_SIGNING_SECRET.

    Examples:
      thumbsmith sign photo.jpg width=300 height=200 fit=cover format=webp
    """
    secret = signing_secret_setting()
    if secret is None:
        raise UsageError(f"{SIGNING_SECRET}: expected the secret that addresses are signed with, found nothing")
    fields: dict[str, str] = {}
    for name, value in map(_field, options):
        if fields.setdefault(name, value) != value:
            raise UsageError(f"{name}: expected once, found {fields[name]!r} and {value!r}")
    recipe_of({name: value for name, value in fields.items() if name in OPTIONS})  # the server would refuse the others
    path = signed_path(key, fields, secret=secret, expires=int(time.time()) + seconds)
    sys.stdout.write(f"{server.rstrip('/')}{path}\n")


def _field(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"{text}: expected NAME=VALUE, as width=200")
    return name, value
