"""What a child does with its one source: check the header, ask for memory, decode, and send the renditions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from thumbsmith.errors import Code, MissingDecoder, Rejected
from thumbsmith.image.opening import set_pillow_pixel_limit
from thumbsmith.image.pipeline import Job, check_source, make_renditions
from thumbsmith.recipe import Limits, Recipe
from thumbsmith.worker.isolation import Isolation
from thumbsmith.worker.sandbox import confine
from thumbsmith.worker.wire import Channel, Frame, RemoteReader, describe_exception

# Recipe and head of the source. The parent is trusted, so this is only a limit that no recipe reaches.
MAX_JOB_BYTES: Final = 64 << 20


def handle_source(channel: Channel, isolation: Isolation, template: int) -> None:
    """Carry out the one job that comes over the channel, confined before the first byte of the source is read.

    This process ends with the `template`, the process id of its parent.
    """
    job = channel.receive(max_bytes=MAX_JOB_BYTES)
    recipe = Recipe.from_json(job.blobs[0].decode())
    try:
        confine(recipe.limits, job.fields.get("ceiling"), isolation.refused, template)
    except OSError as problem:  # the system refuses a step that it granted before: the isolation is incomplete
        channel.send("failed", detail=str(problem))
        return
    set_pillow_pixel_limit(recipe.limits.max_pixels)
    render_job(job, recipe, channel)


def render_job(job: Frame, recipe: Recipe, channel: Channel) -> None:
    """Send the outcome: "made", "rejected", "missing", or "failed" for an error in our code."""
    reader = RemoteReader(channel, job.fields["size"], job.blobs[1])
    wanted = job.fields["wanted"]
    try:
        blobs, fields = _render(channel, reader, recipe, None if wanted is None else frozenset(wanted))
    except Rejected as rejected:
        channel.send("rejected", code=rejected.code, detail=rejected.detail)
    except MissingDecoder as missing:
        channel.send("missing", detail=str(missing))
    except MemoryError:
        channel.send("rejected", code=Code.OVER_MEMORY, detail=_over_memory(recipe.limits, job.fields.get("ceiling")))
    except Exception as error:
        channel.send("failed", detail=describe_exception(error))
    else:
        channel.send("made", *blobs, **fields)


def _render(
    channel: Channel, reader: RemoteReader, recipe: Recipe, wanted: frozenset[str] | None
) -> tuple[list[bytes], dict[str, Any]]:
    """Return the files of the renditions, and the fields of the message about them. Raises what its parts raise."""
    job = check_source(Job(reader=reader, recipe=recipe, names=wanted))
    channel.send("admit", memory=job.memory_bytes)
    channel.receive(max_bytes=0)
    job = make_renditions(job)
    renditions = [{"name": made.name, "width": made.width, "height": made.height} for made in job.renditions]
    fields: dict[str, Any] = {"probe": asdict(job.probe), "renditions": renditions, "notes": job.notes}
    fields |= {"color": job.color or None, "thumbhash": job.thumbhash or None}
    return [made.data for made in job.renditions], fields


def _over_memory(limits: Limits, ceiling: int | None) -> str:
    if ceiling is not None and ceiling < limits.max_memory:
        return f"decoding it took more memory than there is for one source, {ceiling} bytes"
    return f"decoding it took more memory than max_memory allows, {limits.max_memory} bytes"
