"""What a child does with its one source: judge the header, ask to go on, decode, and say what it made."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from thumbsmith.errors import Code, MissingDecoder, Rejected
from thumbsmith.image.opening import set_pillow_pixel_limit
from thumbsmith.image.pipeline import Job, check_source, make_renditions
from thumbsmith.recipe import Limits, Recipe
from thumbsmith.worker.isolation import Isolation
from thumbsmith.worker.sandbox import confine
from thumbsmith.worker.wire import Channel, Frame, RemoteReader, told

# Recipe and head of the source; the parent is trusted, so this is only a bound that no recipe comes near.
MAX_ORDER: Final = 64 << 20


def work(channel: Channel, isolation: Isolation, template: int) -> None:
    """Carry out the one order that comes over the channel, confined from its first byte on as far as the system can.

    This process ends with the `template`, the process id of its parent.
    """
    order = channel.receive(largest=MAX_ORDER)
    recipe = Recipe.from_json(order.blobs[0].decode())
    try:
        confine(recipe.limits, order.fields.get("ceiling"), isolation.refused, template)
    except OSError as problem:  # a step that the system granted when it was tried: this process is not isolated enough
        channel.send("failed", detail=str(problem))
        return
    set_pillow_pixel_limit(recipe.limits.max_pixels)
    carry_out(order, recipe, channel)


def carry_out(order: Frame, recipe: Recipe, channel: Channel) -> None:
    """Say what becomes of the source: "made", "rejected", "missing", or "failed" for a mistake of our own."""
    reader = RemoteReader(channel, order.fields["size"], order.blobs[1])
    wanted = order.fields["wanted"]
    try:
        blobs, fields = _make(channel, reader, recipe, None if wanted is None else frozenset(wanted))
    except Rejected as rejected:
        channel.send("rejected", code=rejected.code, detail=rejected.detail)
    except MissingDecoder as missing:
        channel.send("missing", detail=str(missing))
    except MemoryError:
        channel.send("rejected", code=Code.OVER_MEMORY, detail=_too_large(recipe.limits, order.fields.get("ceiling")))
    except Exception as mistake:
        channel.send("failed", detail=told(mistake))
    else:
        channel.send("made", *blobs, **fields)


def _make(
    channel: Channel, reader: RemoteReader, recipe: Recipe, wanted: frozenset[str] | None
) -> tuple[list[bytes], dict[str, Any]]:
    """Return the files of the renditions, and what is said of them. Raises what its parts raise."""
    job = check_source(Job(reader=reader, recipe=recipe, names=wanted))
    channel.send("admit", memory=job.memory_bytes)
    channel.receive(largest=0)
    job = make_renditions(job)
    pictures = [{"name": made.name, "width": made.width, "height": made.height} for made in job.renditions]
    said: dict[str, Any] = {"probe": asdict(job.probe), "renditions": pictures, "notes": job.notes}
    said |= {"color": job.color or None, "thumbhash": job.thumbhash or None}
    return [made.data for made in job.renditions], said


def _too_large(limits: Limits, ceiling: int | None) -> str:
    if ceiling is not None and ceiling < limits.max_memory:
        return f"decoding it took more memory than there is for one source, {ceiling} bytes"
    return f"decoding it took more memory than max_memory allows, {limits.max_memory} bytes"
