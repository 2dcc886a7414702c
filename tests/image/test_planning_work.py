"""The work of planning many pictures of one source grows no faster than necessary."""

import sys
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from types import FrameType

from PIL import Image

from thumbsmith.image.geometry import Layout
from thumbsmith.image.render import render
from thumbsmith.recipe import Recipe

from ..pictures import picture

MANY = "\n".join(f"[variants.v{side}]\nwidth = {side}\ndpr = [1, 1.5, 2, 4]" for side in range(8, 28))
MOVING = '[variants.a]\nwidth = 8\nanimation = "keep"\n[variants.b]\nwidth = 4\nanimation = "keep"'


def _calls(work: Callable[[], object]) -> Counter[str]:
    """Return how often some work calls each function of the geometry module."""
    found: Counter[str] = Counter()
    home = Layout.of.__func__.__code__.co_filename  # type: ignore[attr-defined]

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename == home:
            found[frame.f_code.co_name] += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return found


def _animation() -> bytes:
    frames = [Image.new("RGB", (24, 24), (40 * index, 0, 0)) for index in range(6)]
    file = BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def test_parents_are_chosen_once():
    """For 80 pictures of one source, parents are chosen once, and each plan is computed a few times at most."""
    data, recipe = picture(), Recipe.loads(MANY)
    calls = _calls(lambda: render(data, recipe))
    assert calls["parents"] == 1
    assert calls["plan"] <= 4 * (len(recipe.variants_by_density) + 1)


def test_an_animation_is_planned_once():
    """All frames of an animation share one layout, which is computed once."""
    data, recipe = _animation(), Recipe.loads(MOVING)
    calls = _calls(lambda: render(data, recipe))
    assert calls["parents"] == 1
