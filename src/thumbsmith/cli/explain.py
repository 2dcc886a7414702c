"""`thumbsmith explain SRC KEY DST`: one source, the thumbnails that it should have and has, and the reasons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import click

from thumbsmith.bulk.explain import Explanation
from thumbsmith.bulk.explain import explain as explain_key
from thumbsmith.cli.arguments import destination_argument, json_option, recipe_option, source_argument
from thumbsmith.cli.command import command
from thumbsmith.cli.scope import scope_of
from thumbsmith.cli.stopping import stoppable
from thumbsmith.cli.terminal import Console, emit
from thumbsmith.cli.wording import printable
from thumbsmith.errors import StoreError
from thumbsmith.recipe import Recipe
from thumbsmith.reconcile.decide import State
from thumbsmith.reconcile.protocol import DEFAULTS

# When a rejected source is tried again (docs/destination.md).
RETRIED: Final = "when the source, the limits or the engine change, or by sync --retry-rejected"


@command()
@source_argument
@click.argument("key", metavar="KEY", help="The key of the image: its path below SRC.")
@destination_argument
@recipe_option
@json_option
def explain(source: str, key: str, destination: str, recipe: str | None, as_json: bool) -> None:
    """Print which thumbnails one image should have, which exist, and why. Nothing is changed.

    For a key that is no source, the output gives the reason and the thumbnails that are left.

    Examples:
      thumbsmith explain ./photos sub/cat.jpg ./thumbs

      thumbsmith explain ./photos sub/cat.jpg ./thumbs --json
    """
    scope = scope_of(source, destination, recipe, DEFAULTS)
    try:
        with stoppable(Console(), grace=0):
            found = explain_key(scope, key)
    except StoreError as error:
        if error.one_object and as_json:
            emit("explain", key=key, state="failed", why=f"it cannot be read: {error.about(key)}")
        if not error.one_object:
            raise
        message = f"{printable(key)}: it cannot be read: {error.about(key)}"
        raise StoreError(message, transient=error.transient, one_object=True) from error
    if as_json:
        emit("explain", **_fields(found, scope.recipe))
    else:
        for label, text in _lines(found, scope.recipe):
            click.echo(f"{label:10} {printable(text)}")


def _fields(found: Explanation, recipe: Recipe) -> dict[str, Any]:
    """Return the fields of the JSON object. `state` is "none" for a key that is no source."""
    recorded, source, rejection = found.recorded, found.source, found.rejection
    return {
        "key": found.key,
        "state": found.state.value if found.state else "none",
        "why": found.why,
        "source": {"etag": source.etag, "bytes": source.size} if source else None,
        "rejection": {"code": rejection.code, "detail": rejection.detail, "retried": RETRIED} if rejection else None,
        "wanted": [{"key": f"{found.key}/{each.name}", "state": each.state} for each in found.expected],
        "left": [f"{found.key}/{name}" for name in found.obsolete],
        "recipe": recipe.fingerprint,
        "limits": _limits(found, recipe),
        "recorded": recorded and {"etag": recorded.source.etag, "recipe": recorded.recipe, "limits": recorded.limits},
    }


def _limits(found: Explanation, recipe: Recipe) -> str:
    """Return the fingerprint to compare with the limits in the manifest."""
    rejected = found.recorded and found.recorded.rejection
    return recipe.limits.rejection_fingerprint if rejected else recipe.limits.fingerprint


def _lines(found: Explanation, recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Yield the same facts for people: a label and a text."""
    yield "key", found.key
    if found.source:
        yield "source", f"{found.source.size:,} bytes, etag {found.source.etag}"
    yield "state", f"{found.state.value if found.state else 'no source'}: {found.why}"
    if found.rejection and found.state is State.REJECTED:
        yield "rejected", f"{found.rejection.code}; tried again {RETRIED}"
    for each in found.expected:
        yield each.state, f"{found.key}/{each.name}"
    for name in found.obsolete:
        yield "left", f"{found.key}/{name}"
    recorded = found.recorded
    yield "recipe", recipe.fingerprint + (f", recorded {recorded.recipe}" if recorded else "")
    yield "limits", _limits(found, recipe) + (f", recorded {recorded.limits}" if recorded else "")
    if recorded and recorded.source.etag != (found.source and found.source.etag):
        yield "recorded", f"etag {recorded.source.etag}"
