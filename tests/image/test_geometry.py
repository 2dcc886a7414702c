"""Plans: which pixels of the source each variant shows, for every fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thumbsmith.image.geometry import Plan, dct_shrink, plan, to_stored_orientation
from thumbsmith.recipe import Fit, Variant

sides = st.integers(1, 60_000)
boxes = st.integers(1, 16_383)
points = st.floats(0, 1)
fits = st.sampled_from(Fit)


def made(size: tuple[int, int], fit: Fit, box: tuple[int | None, int | None], *, enlarge: bool = False) -> Plan:
    """Return the plan of a variant with this fit and box."""
    return plan(size, Variant(name="v", width=box[0], height=box[1], fit=fit, enlarge=enlarge))


@pytest.mark.parametrize(
    ("fit", "size", "box", "canvas"),
    [
        (Fit.INSIDE, (3000, 2000), (300, 300), (300, 200)),
        (Fit.INSIDE, (2000, 3000), (300, 300), (200, 300)),
        (Fit.INSIDE, (3000, 2000), (None, 300), (450, 300)),
        (Fit.INSIDE, (3840, 2560), (256, 256), (256, 171)),
        (Fit.INSIDE, (200, 100), (300, 300), (200, 100)),
        (Fit.INSIDE, (10_000, 3), (256, 256), (256, 1)),
        (Fit.INSIDE, (2, 5), (3, 4), (2, 4)),
        (Fit.OUTSIDE, (3000, 2000), (300, 300), (450, 300)),
        (Fit.OUTSIDE, (200, 100), (150, 150), (200, 100)),
        (Fit.OUTSIDE, (50_000, 10), (300, 300), (16_383, 3)),
        (Fit.COVER, (3000, 2000), (300, 300), (300, 300)),
        (Fit.COVER, (3000, 2000), (300, None), (300, 200)),
        (Fit.COVER, (200, 100), (150, 150), (150, 100)),
        (Fit.COVER, (200, 100), (300, 300), (200, 100)),
        (Fit.CONTAIN, (3000, 2000), (300, 300), (300, 300)),
        (Fit.CONTAIN, (200, 100), (300, 300), (300, 300)),
        (Fit.CONTAIN, (3000, 2000), (None, 300), (450, 300)),
        (Fit.CONTAIN, (200, 100), (300, None), (300, 100)),
        (Fit.FILL, (3000, 2000), (300, 300), (300, 300)),
        (Fit.FILL, (3000, 200), (300, 300), (300, 200)),
        (Fit.FILL, (3000, 2000), (300, None), (300, 2000)),
    ],
)
def test_sizes_are_those_of_sharp(fit, size, box, canvas):
    """Sizes are those of the documented examples, and those of sharp for a missing axis or a small source."""
    assert made(size, fit, box).canvas == canvas


@pytest.mark.parametrize(
    ("box", "offset"), [((40, 30), (10, 10)), ((41, 30), (10, 10)), ((40, 31), (10, 10)), ((21, 11), (0, 0))]
)
def test_padding_is_even_and_the_odd_pixel_is_right_or_below(box, offset):
    """With fit contain, the picture is centered. An odd pixel is on the right or at the bottom."""
    assert made((20, 10), Fit.CONTAIN, box).offset == offset


@pytest.mark.parametrize(
    ("fit", "canvas"),
    [
        (Fit.INSIDE, (300, 150)),
        (Fit.OUTSIDE, (600, 300)),
        (Fit.COVER, (300, 300)),
        (Fit.CONTAIN, (300, 300)),
        (Fit.FILL, (300, 300)),
    ],
)
def test_enlarge_fills_the_box(fit, canvas):
    """With `enlarge`, a small source is enlarged as far as the fit says."""
    assert made((20, 10), fit, (300, 300), enlarge=True).canvas == canvas


@given(sides, sides, boxes, boxes, st.booleans())
def test_inside_stays_within_the_box_and_keeps_the_aspect_ratio(width, height, across, down, enlarge):
    """No side exceeds the box, and each is within a pixel of what the other one implies."""
    found = made((width, height), Fit.INSIDE, (across, down), enlarge=enlarge).canvas
    assert found[0] <= across
    assert found[1] <= down
    scale = min(across / width, down / height)
    scale = scale if enlarge else min(scale, 1)
    assert abs(found[0] - max(1, width * scale)) <= 0.51
    assert abs(found[1] - max(1, height * scale)) <= 0.51


@given(sides, sides, boxes, boxes)
def test_outside_covers_the_box_unless_the_source_is_small(width, height, across, down):
    """Each side is at least that of the box, unless the source is smaller or the side was capped."""
    found = made((width, height), Fit.OUTSIDE, (across, down)).canvas
    capped = max(found) == 16_383
    assert capped or found[0] >= min(across, width)
    assert capped or found[1] >= min(down, height)


@given(sides, sides, st.none() | boxes, st.none() | boxes, fits, st.tuples(points, points), st.booleans())
def test_every_plan_is_within_its_bounds(width, height, across, down, fit, gravity, enlarge):
    """Boxes are within the source, pictures within their canvas, and sides from 1 to 16383; nothing grows unasked."""
    if across is None and down is None:
        across = 1
    variant = Variant(name="v", width=across, height=down, fit=fit, gravity=gravity, enlarge=enlarge)
    found = plan((width, height), variant)
    left, top, right, bottom = found.box
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    for made_side, canvas_side, offset, source_side in zip(
        found.size, found.canvas, found.offset, (width, height), strict=True
    ):
        assert 1 <= made_side <= 16_383
        assert 0 <= offset <= offset + made_side <= canvas_side <= 16_383
        assert enlarge or made_side <= source_side


@given(sides, sides, boxes, boxes, points, points)
def test_a_crop_is_centered_on_the_focal_point(width, height, across, down, x, y):
    """The crop is centered on the focal point, or touches the edge that prevents it."""
    found = plan((width, height), Variant(name="v", width=across, height=down, fit=Fit.COVER, gravity=(x, y)))
    for start, end, side, point in (
        (found.box[0], found.box[2], width, x),
        (found.box[1], found.box[3], height, y),
    ):
        centred = abs((start + end) / 2 - point * side) <= 1
        assert centred or (start <= 1e-6 and point * side < end) or (end >= side - 1e-6 and point * side > start)


@pytest.mark.parametrize(
    ("gravity", "box"),
    [
        ((0.5, 0.0), (0, 0, 1000, 1000)),
        ((0.5, 1.0), (0, 1000, 1000, 2000)),
        ((0.5, 0.5), (0, 500, 1000, 1500)),
        ((0.1, 0.4), (0, 300, 1000, 1300)),
    ],
)
def test_named_gravities_choose_an_edge(gravity, box):
    """North is the top edge, south the bottom edge, and a point is in the center."""
    assert plan((1000, 2000), Variant(name="v", width=100, height=100, fit=Fit.COVER, gravity=gravity)).box == box


def test_a_crop_without_a_resize_has_whole_pixels():
    """A crop without a resize starts at whole pixels, so that they are copied without interpolation."""
    found = made((301, 100), Fit.COVER, (100, 100))
    assert found.box == (100, 0, 200, 100)
    assert found.reduction == 1


@given(st.floats(0.001, 100_000))
def test_a_dct_scale_leaves_enough_pixels_for_lanczos(reduction):
    """At least 1.5 pixels are left for each pixel of the result, and the next shrink would leave fewer."""
    shrink = dct_shrink(reduction)
    assert shrink == 1 or reduction / shrink >= 1.5
    assert shrink == 8 or reduction / (2 * shrink) < 1.5


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, (10, 20, 30, 60)),
        (2, (70, 20, 90, 60)),
        (3, (70, 140, 90, 180)),
        (4, (10, 140, 30, 180)),
        (5, (20, 10, 60, 30)),
        (6, (20, 70, 60, 90)),
        (7, (140, 70, 180, 90)),
        (8, (140, 10, 180, 30)),
    ],
)
def test_boxes_are_mapped_to_the_stored_orientation(orientation, expected):
    """The box is right for each of the eight EXIF orientations of a picture that is seen as 100 x 200."""
    assert to_stored_orientation((10, 20, 30, 60), (100, 200), orientation) == expected
