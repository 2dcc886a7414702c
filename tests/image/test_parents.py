"""Parents: which larger picture each one is made from."""

from hypothesis import given
from hypothesis import strategies as st

from thumbsmith.image.geometry import parents, plan, scale_box
from thumbsmith.recipe import Fit, Variant

SIZE = (4000, 3000)

variants = st.builds(
    Variant,
    name=st.just("v"),
    width=st.integers(1, 5000),
    height=st.none() | st.integers(1, 5000),
    fit=st.sampled_from(Fit),
    gravity=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    enlarge=st.booleans(),
)


def test_the_parent_is_the_smallest_sufficient_picture():
    """1024 comes from the source, 256 from 1024, the icon from 256; 800 from the source, as 1024 is too close."""
    chosen = [
        Variant(name="large", width=1024, height=1024),
        Variant(name="icon", width=64, height=64, fit=Fit.COVER),
        Variant(name="small", width=256, height=256),
        Variant(name="medium", width=800, height=800),
    ]
    assert parents([plan(SIZE, variant) for variant in chosen], SIZE) == (None, 2, 3, None)


def test_a_crop_is_no_parent():
    """A crop is no parent, since it lacks a part of the source."""
    square = Variant(name="square", width=2000, height=2000, fit=Fit.COVER)
    small = Variant(name="small", width=64, height=64)
    assert parents([plan(SIZE, square), plan(SIZE, small)], SIZE) == (None, None)


@given(st.lists(variants, min_size=1, max_size=8))
def test_a_parent_shows_the_whole_source_at_twice_the_size(chosen):
    """For any recipe, a parent shows the whole source, with two pixels on each axis for each of the result."""
    plans = [plan(SIZE, variant) for variant in chosen]
    for child, parent in zip(plans, parents(plans, SIZE), strict=True):
        if parent is not None:
            assert plans[parent].box == (0, 0, *SIZE)
            left, top, right, bottom = scale_box(child.box, SIZE, plans[parent].size)
            assert right - left >= 2 * child.size[0]
            assert bottom - top >= 2 * child.size[1]
