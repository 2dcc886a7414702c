"""`thumbsmith explain SRC DST KEY`: one source, the thumbnails that it should have and has, and the reasons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import click

from thumbsmith.bulk.explain import Explanation
from thumbsmith.bulk.explain import explain as explain_key
from thumbsmith.bulk.scan import Scope
from thumbsmith.cli.arguments import json_option, recipe_option, source_argument
from thumbsmith.cli.command import FILE_PATH, command
from thumbsmith.cli.keys import destination_and_key, has_object, key_below, nearest
from thumbsmith.cli.scope import open_source, scope_of
from thumbsmith.cli.stopping import stoppable
from thumbsmith.cli.terminal import Console, emit, styled
from thumbsmith.cli.wording import plural, printable
from thumbsmith.errors import StoreError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.selection import is_source
from thumbsmith.reconcile.decide import State
from thumbsmith.reconcile.protocol import DEFAULTS

# When a rejected source is tried again (docs/destination.md).
RETRIED: Final = "when the source, the limits or the engine change, or by sync --retry-rejected"

# The colors of states of sources and thumbnails.
COLORS: Final = {"right": "green", "fresh": "green", "missing": "yellow", "stale": "yellow", "rejected": "magenta"}


@command()
@source_argument
@click.argument("one", metavar="DST", type=FILE_PATH, help="The folder, or s3://BUCKET/PREFIX, with the thumbnails.")
@click.argument("two", metavar="KEY", type=FILE_PATH, help="The key of the image, or its path: sub/cat.jpg in SRC.")
@recipe_option
@json_option
def explain(source: str, one: str, two: str, recipe: str | None, as_json: bool) -> int:
    """Print which thumbnails one image should have, which exist, and why. Nothing is changed.

    For a key that is no source, the output gives the reason and the thumbnails that are left. The exit code is 1 if SRC
    has no such object. KEY may also come before DST.

    Examples:
      thumbsmith explain ./photos ./thumbs sub/cat.jpg
      thumbsmith explain ./photos ./thumbs ./photos/sub/cat.jpg --json
    """
    with stoppable(Console(), grace=0):
        images = open_source(source)
        images.check_reachable()
        destination, argument = destination_and_key(one, two, lambda each: has_object(images, key_below(images, each)))
        scope, key = scope_of(source, destination, recipe, DEFAULTS), key_below(images, argument)
        try:
            found = explain_key(scope, key)
        except StoreError as error:
            if error.one_object and as_json:
                emit("explain", key=key, state="failed", why=f"it cannot be read: {error.about(key)}")
            if not error.one_object:
                raise
            message = f"{printable(key)}: it cannot be read: {error.about(key)}"
            raise StoreError(message, transient=error.transient, one_object=True) from error
        unknown = found.state is None and not found.obsolete and not found.recorded and not has_object(images, key)
        similar = _nearest(scope, key) if unknown else None
        is_swapped = unknown and has_object(scope.destination, key_below(scope.destination, argument))
    if as_json:
        emit("explain", **_fields(found, scope.recipe), nearest=similar)
    else:
        for label, text in _lines(found, scope.recipe):
            click.echo(f"{styled(f'{label:10}', COLORS.get(label, ''))} {printable(text)}")
        if is_swapped:
            click.echo(f"{printable(destination)} has this object: SRC and DST are probably swapped", err=True)
        elif similar:
            click.echo(f"did you mean {printable(similar)}?", err=True)
    return 1 if unknown else 0


def _nearest(scope: Scope, key: str) -> str | None:
    """Return the source whose key is most like an unknown key, first of those in the same folder."""
    folder = key.rpartition("/")[0]
    for prefix in dict.fromkeys((f"{folder}/" if folder else "", "")):
        keys = (info.key for info in scope.source.list(prefix) if is_source(info.key, scope.recipe.selection))
        if found := nearest(key, keys):
            return found
    return None


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
        yield "source", f"{plural(found.source.size, 'byte')}, etag {found.source.etag}"
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
