"""`thumbsmith explain SRC KEY DST`: one source, what is wanted of it, what is there, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer

from thumbsmith.bulk.explain import Explanation
from thumbsmith.bulk.explain import explain as look_at
from thumbsmith.cli.arguments import Destination, Json, RecipeOption, Source, scope_of
from thumbsmith.cli.terminal import emit, people, shown, stoppable
from thumbsmith.errors import StoreError
from thumbsmith.recipe import Recipe
from thumbsmith.reconcile.decide import State
from thumbsmith.reconcile.effects import DEFAULTS

# When a rejection is judged anew (docs/destination.md).
RETRIED: Final = "when the source, the limits or the engine change, or by sync --retry-rejected"


def explain(
    source: Source,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The image's key: its path below SRC.")],
    destination: Destination,
    recipe: RecipeOption = None,
    as_json: Json = False,
) -> None:
    """Say of one image what is wanted, what is there, and why.

    Of a key that is no source it says why it is none, and what is left of it. Nothing is changed.

    Examples:
      thumbsmith explain ./photos sub/cat.jpg ./thumbs

      thumbsmith explain ./photos sub/cat.jpg ./thumbs --json
    """
    scope = scope_of(source, destination, recipe, DEFAULTS)
    try:
        with stoppable(people(), grace=0):
            found = look_at(scope, key)
    except StoreError as error:
        if error.one_object and as_json:
            emit("explain", key=key, state="failed", why=f"it cannot be read: {error.about(key)}")
        if not error.one_object:
            raise
        words = f"{shown(key)}: it cannot be read: {error.about(key)}"
        raise StoreError(words, transient=error.transient, one_object=True) from error
    if as_json:
        emit("explain", **_fields(found, scope.recipe))
    else:
        for label, text in _lines(found, scope.recipe):
            typer.echo(f"{label:10} {shown(text)}")


def _fields(found: Explanation, recipe: Recipe) -> dict[str, Any]:
    """Return the fields of the JSON object; `state` is "none" for a key that is no source."""
    recorded, source, rejection = found.recorded, found.source, found.rejection
    return {
        "key": found.key,
        "state": found.state.value if found.state else "none",
        "why": found.why,
        "source": {"etag": source.etag, "bytes": source.size} if source else None,
        "rejection": {"code": rejection.code, "detail": rejection.detail, "retried": RETRIED} if rejection else None,
        "wanted": [{"key": f"{found.key}/{each.name}", "state": each.state} for each in found.wanted],
        "left": [f"{found.key}/{name}" for name in found.left],
        "recipe": recipe.fingerprint,
        "limits": _limits(found, recipe),
        "recorded": recorded and {"etag": recorded.source.etag, "recipe": recorded.recipe, "limits": recorded.limits},
    }


def _limits(found: Explanation, recipe: Recipe) -> str:
    """Return the digest that the manifest's is compared with."""
    rejected = found.recorded and found.recorded.rejection
    return recipe.limits.judgment if rejected else recipe.limits.fingerprint


def _lines(found: Explanation, recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Yield the same for people: a label and what goes with it."""
    yield "key", found.key
    if found.source:
        yield "source", f"{found.source.size:,} bytes, etag {found.source.etag}"
    yield "state", f"{found.state.value if found.state else 'no source'}: {found.why}"
    if found.rejection and found.state is State.REJECTED:
        yield "rejected", f"{found.rejection.code}; tried again {RETRIED}"
    for each in found.wanted:
        yield each.state, f"{found.key}/{each.name}"
    for name in found.left:
        yield "left", f"{found.key}/{name}"
    recorded = found.recorded
    yield "recipe", recipe.fingerprint + (f", recorded {recorded.recipe}" if recorded else "")
    yield "limits", _limits(found, recipe) + (f", recorded {recorded.limits}" if recorded else "")
    if recorded and recorded.source.etag != (found.source and found.source.etag):
        yield "recorded", f"etag {recorded.source.etag}"
