"""A hypothesis strategy of valid recipes, and their TOML."""

import json

from hypothesis import strategies as st

from thumbsmith.recipe.model import GRAVITIES

_percent = st.integers(1, 100) | st.just("auto")
_side = st.integers(1, 16383)
_share = st.integers(0, 1) | st.floats(0, 1)
_optional = {
    "fit": st.sampled_from(["inside", "cover", "contain", "outside", "fill"]),
    "gravity": st.sampled_from([*sorted(GRAVITIES), "auto"]) | st.lists(_share, min_size=2, max_size=2),
    "enlarge": st.booleans(),
    "formats": st.lists(st.sampled_from(["jpeg", "png", "webp", "avif", "source"]), min_size=1, max_size=7),
    "quality": _percent | st.fixed_dictionaries({}, optional=dict.fromkeys(["jpeg", "webp", "avif"], _percent)),
    "background": st.from_regex("#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", fullmatch=True),
    "sharpen": st.integers(0, 10) | st.integers(0, 1000).map(lambda hundredths: hundredths / 100),
    "dpr": st.lists(st.integers(1, 10) | st.integers(100, 1000).map(lambda n: n / 100), min_size=1, max_size=3),
    "max_output_bytes": st.integers(1, 2**40),
    "metadata": st.sampled_from(["strip", "copyright"]),
    "color": st.sampled_from(["srgb", "keep"]),
    "animation": st.sampled_from(["first", "keep"]),
}
_sides = {"width": _side, "height": _side}
_defaults = st.fixed_dictionaries({}, optional=_sides | _optional | {"page": st.integers(1, 9)})
_variant = st.fixed_dictionaries({"width": _side}, optional={"height": _side} | _optional) | st.fixed_dictionaries(
    {"height": _side}, optional=_optional
)
_names = st.from_regex("[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True)
_globs = st.sampled_from(["**", "*.jpg", "**/*.jp?g", "photos/**", "[!a-c]*", "été/**", "a b"])
_limits = dict.fromkeys(
    ["max_bytes", "max_pixels", "max_side", "max_frames", "max_scans", "max_memory"], st.integers(1, 2**40)
)

documents = st.fixed_dictionaries(
    {},
    optional={
        "limits": st.fixed_dictionaries(
            {},
            optional=_limits
            | {"max_cpu_seconds": st.integers(1, 900), "isolation": st.sampled_from(["source", "shared"])},
        ),
        "source": st.fixed_dictionaries(
            {}, optional={"include": st.lists(_globs, min_size=1, max_size=3), "exclude": st.lists(_globs, max_size=3)}
        ),
        "defaults": _defaults,
        "variants": st.lists(st.tuples(_names, _variant), min_size=1, max_size=4, unique_by=lambda v: v[0].lower()).map(
            dict
        ),
    },
)


def toml(document: dict) -> str:
    """Return the document as TOML, one line for each table."""
    return "".join(f"{name} = {_inline(value)}\n" for name, value in document.items())


def _inline(value: object) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{json.dumps(name)} = {_inline(each)}" for name, each in value.items()) + " }"
        case list():
            return "[" + ", ".join(map(_inline, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)
