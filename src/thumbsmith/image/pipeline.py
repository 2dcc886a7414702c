"""The path of one source, from its bytes to its renditions: two lists of steps.

    check_source      file size ── header ── limits ── plan ── memory ── outputs
    make_renditions   decode ── crops ── color and ThumbHash ── credit ── stills ── free memory ── animations

A worker's child waits for its parent's consent between the two lists: until then, no decoder has run.

Every step takes a Job and returns a Job. `image/picture.py` has the steps of one picture: crop, resize, color,
orientation, flatten, sharpen, pad. A worker's parent checks the encoded bytes (`image/check_output.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from thumbsmith.image import encode, limits, passthrough
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.credit import NO_CREDIT, Credit, read_credit
from thumbsmith.image.decode import DecodedImage, decode
from thumbsmith.image.frames import frames
from thumbsmith.image.geometry import (
    Layout,
    Plan,
    decoded_frames,
    first_scan_suffices,
    is_animated_as,
    whole_milliseconds,
)
from thumbsmith.image.picture import Cascades, compose
from thumbsmith.image.pillow import Image
from thumbsmith.image.probe import probe
from thumbsmith.image.saliency import OVERVIEW, with_focal_points
from thumbsmith.image.transform import encode_thumbhash, mean_color
from thumbsmith.reader import RangeReader
from thumbsmith.recipe.model import AUTO, Color, Format, Metadata, Variant
from thumbsmith.recipe.names import Rendition, rendition_name
from thumbsmith.recipe.recipe import Recipe

# A rendition to make: the index of its variant in `Recipe.variants_by_density`, and a format.
Output: TypeAlias = tuple[int, Format]

# Mean color and ThumbHash come from a picture of this size. It does not depend on the recipe.
SUMMARY: Final = Variant(name="summary", width=32, height=32)

# The value of a field that a later step fills in.
UNSET: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One source on its way to its renditions. The caller gives the first four fields; steps fill in the others.

    `names` are the names of the renditions to make (`small.webp`), None for all. A rendition's bytes do not depend on
    which others are made. `confined` says that this process has confined itself: then the native decoder of small
    JPEGs may be used (`image/eighth.py`).
    """

    reader: RangeReader
    recipe: Recipe
    names: frozenset[str] | None = None
    confined: bool = False

    probe: Probe = UNSET
    memory_bytes: int = 0  # predicted
    outputs: tuple[Output, ...] = ()  # in the order of the recipe

    decoded: DecodedImage = UNSET
    variants: tuple[Variant, ...] = ()  # `Recipe.variants_by_density`, with a point for each gravity "auto"
    layout: Layout = UNSET
    cascades: Cascades = UNSET
    credit: Credit = NO_CREDIT

    color: str = ""  # mean color of the source, #rrggbb; empty if no output was asked for
    thumbhash: str = ""  # base64; empty if no output was asked for
    notes: tuple[str, ...] = ()  # sentences about what was ignored in the source
    made: Mapping[Output, Rendition] = field(default_factory=dict)

    @property
    def renditions(self) -> tuple[Rendition, ...]:
        """Return the finished renditions, in the order of the recipe."""
        return tuple(self.made[output] for output in self.outputs)


Step: TypeAlias = Callable[[Job], Job]


def check_source(job: Job) -> Job:
    """Run the steps that only read the header. Raises Rejected, and what the reader raises."""
    steps: tuple[Step, ...] = (
        check_file_size,
        probe_header,
        check_limits,
        plan_pictures,
        check_memory,
        choose_outputs,
    )
    return _run(steps, job)


def make_renditions(job: Job) -> Job:
    """Run the steps that handle pixels, for a job that `check_source` returned.

    Raises Rejected, MissingDecoder, MemoryError, and what the reader raises.
    """
    steps: tuple[Step, ...] = (
        decode_source,
        choose_crops,
        summarize,
        read_credit_notice,
        render_stills,
        free_decoded_source,
        render_animations,
    )
    return _run(steps, job) if job.outputs or job.names is None else job


def _run(steps: tuple[Step, ...], job: Job) -> Job:
    for step in steps:
        job = step(job)
    return job


def check_file_size(job: Job) -> Job:
    """Reject a source that is empty or too large to be read."""
    limits.check_file_size(job.reader.size, job.recipe.limits)
    return job


def probe_header(job: Job) -> Job:
    """Read format, size and orientation from the header."""
    return replace(job, probe=probe(job.reader, first_scan_suffices(job.recipe), job.recipe.page))


def check_limits(job: Job) -> Job:
    """Reject a source with too many pixels, frames or scans."""
    limits.check_limits(job.probe, job.recipe.limits, frames=decoded_frames(job.probe, job.recipe))
    return job


def plan_pictures(job: Job) -> Job:
    """Decide for each picture which part it shows, its size, and which larger picture it is made from."""
    variants = job.recipe.variants_by_density
    return replace(job, variants=variants, layout=Layout.of(job.probe.size, (*variants, SUMMARY)))


def check_memory(job: Job) -> Job:
    """Predict the memory for decoding and encoding. Reject the source if it is above `max_memory`."""
    return replace(job, memory_bytes=limits.check_memory(job.probe, job.recipe, job.layout))


def choose_outputs(job: Job) -> Job:
    """List the renditions to make."""
    outputs = tuple(
        (index, kind)
        for index, variant in enumerate(job.recipe.variants_by_density)
        for kind in variant.outputs(job.probe.format, alpha=job.probe.alpha)
        if job.names is None or rendition_name(variant.name, kind, variant.density) in job.names
    )
    return replace(job, outputs=outputs)


def decode_source(job: Job) -> Job:
    """Decode the first frame, at the smallest scale that suffices for all pictures of the recipe."""
    reduction = min(each.reduction for each in job.layout.plans)
    only = job.layout.only_root((OVERVIEW,) if _has_focal_points(job) else ())
    decoded = decode(job.reader, job.probe, reduction, only, confined=job.confined)
    notes: tuple[str, ...] = (decoded.note,) if decoded.note else ()
    if 0 < job.probe.page < job.recipe.page:
        notes += (f"the document has no page {job.recipe.page}; its last page, {job.probe.page}, is shown",)
    return replace(job, decoded=decoded, notes=notes)


def choose_crops(job: Job) -> Job:
    """Give each variant with gravity "auto" the focal point of this source."""
    if _has_focal_points(job):
        overview = Cascades.of(job.decoded, Layout.of(job.probe.size, [OVERVIEW])).picture(0, Color.SRGB)
        variants = with_focal_points(job.variants, overview, job.probe.size)
        job = replace(job, variants=variants, layout=Layout.of(job.probe.size, (*variants, SUMMARY)))
    return replace(job, cascades=Cascades.of(job.decoded, job.layout))


def _has_focal_points(job: Job) -> bool:
    return any(each.gravity == AUTO for each in job.variants)


def summarize(job: Job) -> Job:
    """Compute the mean color and the ThumbHash."""
    picture = job.cascades.picture(len(job.variants), Color.SRGB)
    return replace(job, color=mean_color(picture), thumbhash=encode_thumbhash(picture))


def read_credit_notice(job: Job) -> Job:
    """Read author and copyright notice, if a variant keeps them."""
    if all(each.metadata is not Metadata.COPYRIGHT for each in job.variants):
        return job
    return replace(job, credit=read_credit(job.reader, job.probe))


def render_stills(job: Job) -> Job:
    """Make the renditions with one frame."""
    stills = (output for output in job.outputs if not _is_animated(job, output))
    return replace(job, made={output: _still(job, *output) for output in stills})


def free_decoded_source(job: Job) -> Job:
    """Free the decoded source and its pictures: the frames of an animation need as much memory again."""
    return replace(job, decoded=UNSET, cascades=UNSET)


def render_animations(job: Job) -> Job:
    """Make the renditions with several frames.

    Each file contains whole frames, so that the result does not depend on how a viewer combines partial ones.
    """
    outputs = [output for output in job.outputs if _is_animated(job, output)]
    if not outputs:
        return job
    images: dict[Output, list[Image.Image]] = {output: [] for output in outputs}
    profiles: dict[Output, bytes | None] = {}
    milliseconds: list[float] = []
    plays = 0
    for frame in frames(job.reader, job.probe):
        cascades = Cascades.of(frame.base, job.layout)
        for index, kind in outputs:
            variant = job.variants[index]
            picture = cascades.picture(index, variant.color)
            images[index, kind].append(compose(picture, job.layout.plans[index], variant, kind))
            profiles[index, kind] = cascades.profile(variant.color)
        milliseconds.append(frame.duration)
        plays = frame.plays
    timing = {"duration": whole_milliseconds(milliseconds), "loop": plays}
    made = {
        (index, kind): _animation(job, index, kind, images[index, kind], profiles[index, kind], timing)
        for index, kind in outputs
    }
    return replace(job, made={**job.made, **made})


def _is_animated(job: Job, output: Output) -> bool:
    index, kind = output
    return is_animated_as(job.probe, job.variants[index], kind)


def _still(job: Job, index: int, kind: Format) -> Rendition:
    """Return one rendition: encoded, or the source's own file if that shows the same and is smaller."""
    variant, planned = job.variants[index], job.layout.plans[index]
    options = encode.metadata_options(variant, kind, job.credit, job.cascades.profile(variant.color))
    picture = compose(job.cascades.picture(index, variant.color), planned, variant, kind)
    made = encode.encode_rendition(picture, variant, kind, options)
    if options or not _shows_source(job.probe, planned, variant, kind):
        return made
    return passthrough.prefer_source(made, job.reader, job.probe, job.decoded)


def _shows_source(source: Probe, planned: Plan, variant: Variant, kind: Format) -> bool:
    """Return whether a rendition has the pixels and the format of the source."""
    whole = planned.box == (0, 0, *source.size) and planned.size == planned.canvas == source.size
    return whole and kind == source.format and not variant.sharpen


def _animation(
    job: Job, index: int, kind: Format, images: list[Image.Image], profile: bytes | None, timing: dict[str, Any]
) -> Rendition:
    """Return the frames as one file. All get the same mode: with alpha if one of them has it."""
    variant = job.variants[index]
    mode = "RGBA" if any(each.mode == "RGBA" for each in images) else "RGB"
    first, *rest = (each.convert(mode) for each in images)
    options = {**timing, **encode.metadata_options(variant, kind, job.credit, profile)}
    return encode.encode_rendition(first, variant, kind, {**options, "save_all": True, "append_images": rest})
