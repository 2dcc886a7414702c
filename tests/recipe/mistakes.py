"""Every kind of mistake in a recipe, with its sentence."""

from typing import NamedTuple

GRAVITY = (
    'expected "center", "north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest" or "auto"'
    " or [x, y] with numbers from 0 to 1"
)
FORMAT = '"jpeg", "png", "webp", "avif" or "source"'
VARIANT_FIELDS = (
    "width, height, fit, gravity, enlarge, formats, quality, background, sharpen, dpr, max_output_bytes, metadata,"
    " color, animation or page"
)
NAME = "expected a name of 1 to 64 letters, digits, - and _ that begins with a letter or digit"
GLOB = 'expected a glob of 1 to 1024 characters in which every "[" begins a class such as "[a-z]"'
SIDE = "expected a whole number from 1 to 16383"
LIMIT = "expected a whole number from 1 to 1099511627776"
DENSITY = "a number from 1 to 10 with at most 2 decimals"
DENSITIES = f"a non-empty list of at most 8, each item {DENSITY}"
PERCENT = 'expected a whole number from 1 to 100 or "auto"'
QUALITY = 'expected a whole number from 1 to 100, "auto" or a table such as { jpeg = 80 }'


class Mistake(NamedTuple):
    """An invalid recipe, its sentence without the name of the file, and whether a JSON schema finds the mistake."""

    toml: str
    sentence: str
    schema_tells: bool = True


def small(line: str, sentence: str, *, schema_tells: bool = True) -> Mistake:
    """Return a mistake in one field of a variant that is otherwise valid."""
    return Mistake(f"[variants.small]\n{line}\nheight = 1", f"[variants.small] {sentence}", schema_tells)


MISTAKES = [
    # unknown names
    small("widht = 256", 'widht: unknown key; did you mean "width"?'),
    small("Width = 256", 'Width: unknown key; did you mean "width"?'),
    small("blur = 1", f"blur: unknown key, expected {VARIANT_FIELDS}"),
    small("sharpness = 1", 'sharpness: unknown key; did you mean "sharpen"?'),
    small("max_bytes = 1", 'max_bytes: unknown key; did you mean "max_output_bytes"?'),
    small('"a\\nb" = 1', f'"a\\nb": unknown key, expected {VARIANT_FIELDS}'),
    small("crop = { top = 1 }", f"crop: unknown table, expected {VARIANT_FIELDS}"),
    small("quality = { jpg = 80 }", 'quality.jpg: unknown key; did you mean "jpeg"?'),
    Mistake("[limit]\nmax_bytes = 1", '[limit]: unknown table; did you mean "limits"?'),
    Mistake("[variant.small]\nwidth = 1", '[variant]: unknown table; did you mean "variants"?'),
    Mistake("[zzz]", "[zzz]: unknown table, expected limits, source, defaults or variants"),
    Mistake("width = 256", "width: unknown key, expected limits, source, defaults or variants"),
    Mistake("[limits]\nmax_pixel = 1", '[limits] max_pixel: unknown key; did you mean "max_pixels"?'),
    Mistake("[source]\nincludes = []", '[source] includes: unknown key; did you mean "include"?'),
    Mistake("[defaults]\nformat = 1", '[defaults] format: unknown key; did you mean "formats"?'),
    # values in place of tables
    Mistake("limits = 5", "limits: expected a table, found 5"),
    Mistake("[[source]]", "source: expected a table, found [a table]"),
    Mistake("defaults = 'x'", 'defaults: expected a table, found "x"'),
    Mistake("variants = true", "variants: expected 1 to 50 tables, found true"),
    Mistake("[[variants]]\nwidth = 5", "variants: expected 1 to 50 tables, found [a table]"),
    Mistake("[variants]", "[variants]: expected 1 to 50 tables, found 0"),
    Mistake("[variants]\nsmall = 256", "[variants] small: expected a table, found 256"),
    Mistake(
        "".join(f"[variants.v{n}]\nwidth = 1\n" for n in range(51)), "[variants]: expected 1 to 50 tables, found 51"
    ),
    # names of variants
    Mistake('[variants."a b"]\nwidth = 1', f'[variants."a b"]: {NAME}, found "a b"'),
    Mistake('[variants.""]\nwidth = 1', f'[variants.""]: {NAME}, found ""'),
    Mistake("[variants._a]\nwidth = 1", f'[variants._a]: {NAME}, found "_a"'),
    Mistake('[variants."../a"]\nwidth = 1', f'[variants."../a"]: {NAME}, found "../a"'),
    Mistake('[variants."été"]\nwidth = 1', f'[variants."été"]: {NAME}, found "été"'),
    Mistake(
        f"[variants.{'a' * 65}]\nwidth = 1", f'[variants.{"a" * 65}]: {NAME}, found "{"a" * 58}…', schema_tells=True
    ),
    Mistake(
        "[variants.Small]\nwidth = 1\n[variants.small]\nwidth = 1",
        '[variants.small]: expected a name that differs by more than case, found "Small" before it',
        schema_tells=False,
    ),
    # sides
    Mistake("[variants.a]", "[variants.a]: expected width or height, found neither", schema_tells=False),
    small('width = "256"', f'width: {SIDE}, found "256"'),
    small("width = 0", f"width: {SIDE}, found 0"),
    small("width = -1", f"width: {SIDE}, found -1"),
    small("width = 16384", f"width: {SIDE}, found 16384"),
    small("width = true", f"width: {SIDE}, found true"),
    small("width = 256.0", f"width: {SIDE}, found 256.0", schema_tells=False),  # a number is a number in JSON
    small("width = 2026-01-02", f"width: {SIDE}, found 2026-01-02"),
    small("width = [256]", f"width: {SIDE}, found [256]"),
    small(
        f"width = 0x{'f' * 5000}", f"width: {SIDE}, found 0x{'f' * 57}…", schema_tells=False
    ),  # jsonschema cannot say so
    Mistake("[defaults]\nheight = 0", f"[defaults] height: {SIDE}, found 0"),
    # words
    small('fit = "crop"', 'fit: expected "inside", "cover", "contain", "outside" or "fill", found "crop"'),
    small(
        'fit = "Covr"',
        'fit: expected "inside", "cover", "contain", "outside" or "fill", found "Covr"; did you mean "cover"?',
    ),
    small("fit = 1", 'fit: expected "inside", "cover", "contain", "outside" or "fill", found 1'),
    small(
        'metadata = "copyrights"',
        'metadata: expected "strip" or "copyright", found "copyrights"; did you mean "copyright"?',
    ),
    small('color = "p3"', 'color: expected "srgb" or "keep", found "p3"'),
    small('animation = "all"', 'animation: expected "first" or "keep", found "all"'),
    small("page = 0", "page: expected a whole number from 1 to 1000000, found 0"),
    small("page = 1.5", "page: expected a whole number from 1 to 1000000, found 1.5"),
    Mistake(
        "[variants.a]\nwidth = 1\npage = 2\n[variants.b]\nwidth = 1",
        "[variants.b] page: expected 2, the page of [variants.a]: all variants show the same page, found 1",
        schema_tells=False,
    ),
    small('enlarge = "yes"', 'enlarge: expected true or false, found "yes"'),
    small("enlarge = 1", "enlarge: expected true or false, found 1"),
    # gravity
    small('gravity = "face"', f'gravity: {GRAVITY}, found "face"'),
    small('gravity = "nort"', f'gravity: {GRAVITY}, found "nort"; did you mean "north"?'),
    small("gravity = [0.5]", f"gravity: {GRAVITY}, found [0.5]"),
    small("gravity = [0.5, 1.5]", f"gravity: {GRAVITY}, found [0.5, 1.5]"),
    small("gravity = [nan, 0]", f"gravity: {GRAVITY}, found [nan, 0]", schema_tells=False),  # JSON has no nan
    small("gravity = [true, 0]", f"gravity: {GRAVITY}, found [true, 0]"),
    small("gravity = { x = 0 }", f"gravity: {GRAVITY}, found a table"),
    # formats
    small('formats = "webp"', f'formats: expected a non-empty list, each item {FORMAT}, found "webp"'),
    small("formats = []", f"formats: expected a non-empty list, each item {FORMAT}, found []"),
    small('formats = ["webp", "jpg"]', f'formats: expected {FORMAT}, found "jpg"; did you mean "jpeg"?'),
    small("formats = [['webp']]", f'formats: expected {FORMAT}, found ["webp"]'),
    # quality
    small("quality = 0", f"quality: {QUALITY}, found 0"),
    small("quality = 101", f"quality: {QUALITY}, found 101"),
    small("quality = true", f"quality: {QUALITY}, found true"),
    small('quality = "atuo"', f'quality: {QUALITY}, found "atuo"; did you mean "auto"?'),
    small('quality = { avif = "best" }', f'quality.avif: {PERCENT}, found "best"'),
    small("quality = { webp = 101 }", f"quality.webp: {PERCENT}, found 101"),
    small("quality = { png = 80 }", "quality.png: unknown key, expected jpeg, webp or avif"),
    # densities, sharpening, bytes
    small("dpr = 2", f"dpr: expected {DENSITIES}, found 2"),
    small("dpr = []", f"dpr: expected {DENSITIES}, found []"),
    small("dpr = [1, 2, 3, 4, 5, 6, 7, 8, 9]", f"dpr: expected {DENSITIES}, found [1, 2, 3, 4, 5, 6, 7, 8, 9]"),
    small("dpr = [0.5]", f"dpr: expected {DENSITY}, found 0.5"),
    small("dpr = [true]", f"dpr: expected {DENSITY}, found true"),
    small("dpr = [1.333]", f"dpr: expected {DENSITY}, found 1.333", schema_tells=False),
    small("dpr = [nan]", f"dpr: expected {DENSITY}, found nan", schema_tells=False),
    small('sharpen = "yes"', 'sharpen: expected a number from 0 to 10 with at most 2 decimals, found "yes"'),
    small("sharpen = 10.5", "sharpen: expected a number from 0 to 10 with at most 2 decimals, found 10.5"),
    small("max_output_bytes = 0", f"max_output_bytes: {LIMIT}, found 0"),
    small('max_output_bytes = "20k"', f'max_output_bytes: {LIMIT}, found "20k"'),
    # background
    small('background = "white"', 'background: expected a color such as "#ffffff", found "white"'),
    small('background = "#ffff"', 'background: expected a color such as "#ffffff", found "#ffff"'),
    small(
        'background = "#fff\\n"', 'background: expected a color such as "#ffffff", found "#fff\\n"', schema_tells=False
    ),
    small("background = 0", 'background: expected a color such as "#ffffff", found 0'),
    # globs
    Mistake("[source]\ninclude = []", f"[source] include: expected a non-empty list, each item {GLOB[9:]}, found []"),
    Mistake("[source]\nexclude = '*'", f'[source] exclude: expected a list, each item {GLOB[9:]}, found "*"'),
    Mistake("[source]\ninclude = ['']", f'[source] include: {GLOB}, found ""'),
    Mistake("[source]\ninclude = [1]", f"[source] include: {GLOB}, found 1"),
    Mistake("[source]\ninclude = ['a[b']", f'[source] include: {GLOB}, found "a[b"', schema_tells=False),
    Mistake("[source]\ninclude = ['[]']", f'[source] include: {GLOB}, found "[]"', schema_tells=False),
    Mistake("[source]\ninclude = ['[!]']", f'[source] include: {GLOB}, found "[!]"', schema_tells=False),
    Mistake("[source]\nexclude = ['[z-a]']", f'[source] exclude: {GLOB}, found "[z-a]"', schema_tells=False),
    Mistake(f"[source]\nexclude = ['{'a' * 1025}']", f'[source] exclude: {GLOB}, found "{"a" * 58}…'),
    # limits
    Mistake("[limits]\nmax_bytes = 0", f"[limits] max_bytes: {LIMIT}, found 0"),
    Mistake("[limits]\nmax_pixels = '1MP'", f'[limits] max_pixels: {LIMIT}, found "1MP"'),
    Mistake("[limits]\nmax_side = 1e4", f"[limits] max_side: {LIMIT}, found 10000.0", schema_tells=False),
    Mistake("[limits]\nmax_frames = false", f"[limits] max_frames: {LIMIT}, found false"),
    Mistake("[limits]\nmax_scans = -1", f"[limits] max_scans: {LIMIT}, found -1"),
    Mistake("[limits]\nmax_memory = 1099511627777", f"[limits] max_memory: {LIMIT}, found 1099511627777"),
    Mistake(
        "[limits]\nmax_cpu_seconds = 901", "[limits] max_cpu_seconds: expected a whole number from 1 to 900, found 901"
    ),
    Mistake(
        '[limits]\nisolation = "share"',
        '[limits] isolation: expected "source" or "shared", found "share"; did you mean "shared"?',
    ),
]
