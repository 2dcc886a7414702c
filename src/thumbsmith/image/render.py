"""`render`: the renditions of one source, made in the calling process.

This module loads no image library: programs that leave decoding to workers import it too.
"""

from __future__ import annotations

from thumbsmith.environment import Setting, isolation_required
from thumbsmith.errors import NotIsolated
from thumbsmith.reader import Image, opened
from thumbsmith.recipe.names import Rendition
from thumbsmith.recipe.recipe import Recipe, checked_recipe


def render(image: Image, recipe: Recipe | None = None) -> tuple[Rendition, ...]:
    """Return all renditions of an image, in the order of the recipe; without a recipe, those of the default recipe.

    The image is its bytes, the path of a file, an open binary file, or a range reader. It runs in the calling process:
    limits apply, but there is no isolation. For images from strangers use `Workers.render`, which takes the same images
    and decodes them in a process without rights. The steps are in `image/pipeline.py`.

    Raises Rejected if the source can never give a thumbnail, MissingDecoder, OSError for a file that cannot be read,
    what a reader raises, UsageError for any other value, and NotIsolated if THUMBSMITH_ISOLATION is `required`.

        for picture in render("photo.jpg"):
            picture.save(f"photo.{picture.name}")
    """
    if isolation_required():
        raise NotIsolated(
            f"{Setting.ISOLATION}=required, and render works in the calling process: use Workers or converge"
        )
    from thumbsmith.image.pipeline import Job, check_source, make_renditions  # noqa: PLC0415 - loads Pillow and libvips

    recipe = checked_recipe(recipe)
    with opened(image, recipe.limits.max_bytes) as reader:
        return make_renditions(check_source(Job(reader=reader, recipe=recipe))).renditions
