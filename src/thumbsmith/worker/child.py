"""What a child does with a source: check the header, ask for memory, decode, and send the renditions."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields
from importlib.machinery import BuiltinImporter, FrozenImporter
from typing import Any, Final

from thumbsmith.errors import Code, MissingDecoder, Rejected
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.formats import SOURCE_FORMATS
from thumbsmith.image.opening import set_pillow_pixel_limit
from thumbsmith.image.pipeline import Job, check_source, make_renditions
from thumbsmith.recipe import Limits, Recipe
from thumbsmith.worker.isolation import Isolation
from thumbsmith.worker.sandbox import Step, confine, steps
from thumbsmith.worker.usage import LIFETIME_CPU_SECONDS
from thumbsmith.worker.wire import Channel, Frame, RemoteReader, describe_exception

PROBE_FIELDS: Final = tuple(each.name for each in fields(Probe))

# The head of a source. The parent is trusted, so this is only a limit that no head reaches.
MAX_JOB_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What the children of a template do, prepared in the template: the recipe, and the steps that confine them.

    `shared` says whether a child handles many sources, one after the other, instead of one. `refused` are the steps
    that this system is known to refuse.
    """

    recipe: Recipe
    ceiling: int | None
    shared: bool
    steps: Mapping[str, Step]
    refused: Collection[str]

    def carry_out(self, channel: Channel) -> None:
        """Confine this process, then handle the sources that come over the channel, each as one job."""
        try:
            confine(self.steps, self.refused)
        except OSError as problem:  # the system refuses a step that it granted before: the isolation is incomplete
            channel.send("failed", detail=str(problem))
            return
        sys.meta_path[:] = [BuiltinImporter, FrozenImporter]  # others look for files, which this process cannot open
        self._handle_source(channel)
        while self.shared:
            self._handle_source(channel)

    def _handle_source(self, channel: Channel) -> None:
        render_job(channel.receive(max_bytes=MAX_JOB_BYTES), self.recipe, channel, self.ceiling)


def prepare(order: Frame, isolation: Isolation) -> Callable[[Channel], None]:
    """Return what the children of this process, the template, do from now on. The order comes from the parent."""
    recipe = Recipe.from_json(order.blobs[0].decode())
    ceiling, shared = order.fields["ceiling"], order.fields["shared"]
    for each in SOURCE_FORMATS.values():
        if each.extra in order.fields["extras"]:
            each.prepare_for_fork()
    planned = steps(recipe.limits, ceiling, os.getpid(), LIFETIME_CPU_SECONDS if shared else 0)
    set_pillow_pixel_limit(recipe.limits.max_pixels)
    return Assignment(recipe=recipe, ceiling=ceiling, shared=shared, steps=planned, refused=isolation.refused).carry_out


def render_job(job: Frame, recipe: Recipe, channel: Channel, ceiling: int | None = None) -> None:
    """Send the outcome: "made", "rejected", "missing", or "failed" for an error in our code."""
    reader = RemoteReader(channel, job.fields["size"], job.blobs[0])
    wanted = job.fields["wanted"]
    try:
        checked = check_source(
            Job(reader=reader, recipe=recipe, names=None if wanted is None else frozenset(wanted), confined=True)
        )
        if checked.memory_bytes > job.fields["granted"]:
            channel.send("admit", memory=checked.memory_bytes)
            channel.receive(max_bytes=0)
        blobs, facts = _render(checked)
    except Rejected as rejected:
        channel.send("rejected", code=rejected.code, detail=rejected.detail)
    except MissingDecoder as missing:
        channel.send("missing", detail=missing.detail, extra=missing.extra)
    except MemoryError:
        channel.send("rejected", code=Code.OVER_MEMORY, detail=_over_memory(recipe.limits, ceiling))
    except Exception as error:
        channel.send("failed", detail=describe_exception(error))
    else:
        channel.send("made", *blobs, **facts)


def _render(job: Job) -> tuple[list[bytes], dict[str, Any]]:
    """Return the files of the renditions, and the fields of the message about them. Raises what its parts raise."""
    job = make_renditions(job)
    renditions = [{"name": made.name, "width": made.width, "height": made.height} for made in job.renditions]
    probe = {name: getattr(job.probe, name) for name in PROBE_FIELDS}
    facts: dict[str, Any] = {"probe": probe, "renditions": renditions, "notes": job.notes}
    facts |= {"color": job.color or None, "thumbhash": job.thumbhash or None}
    return [made.data for made in job.renditions], facts


def _over_memory(limits: Limits, ceiling: int | None) -> str:
    if ceiling is not None and ceiling < limits.max_memory:
        return f"decoding it took more memory than there is for one source, {ceiling} bytes"
    return f"decoding it took more memory than max_memory allows, {limits.max_memory} bytes"
