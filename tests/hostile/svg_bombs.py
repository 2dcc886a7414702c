"""Malicious SVG: filters, masks, patterns and styles that a few bytes make larger than any machine."""

import base64
from functools import cache

from PIL import Image

from tests.containers.files import saved, svg
from tests.hostile.drawings import TOO_MUCH
from tests.hostile.samples import Sample

ALL = '<rect width="40" height="24" {}/>'


@cache
def svg_bombs() -> tuple[Sample, ...]:
    """Return drawings, each of which has a thumbnail or a code."""
    found = {**_filters(), **_chains(), **_shapes(), **_styles(), **_text(), **_embedded()}
    return tuple(Sample(f"svg-{name}", svg(body), "either", TOO_MUCH) for name, body in found.items())


def _filtered(*parts: str, fields: str = "") -> str:
    return f'<filter id="f" {fields}>{"".join(parts)}</filter>' + ALL.format('filter="url(#f)"')


def _filters() -> dict[str, str]:
    huge = 'x="-1e6" y="-1e6" width="1e9" height="1e9" filterUnits="userSpaceOnUse"'
    kernel = " ".join(["1"] * 99 * 99)
    return {
        "noise": _filtered('<feTurbulence numOctaves="2147483647" baseFrequency="9999"/>'),
        "noise-many": _filtered('<feTurbulence numOctaves="50" baseFrequency=".5"/>' * 300),
        "blur": _filtered('<feGaussianBlur stdDeviation="1e9"/>'),
        "blurs": _filtered('<feGaussianBlur stdDeviation="500"/>' * 1_000),
        "morphology": _filtered('<feMorphology operator="dilate" radius="1e6"/>'),
        "morphologies": _filtered('<feMorphology operator="dilate" radius="400"/>' * 200),
        "kernel": _filtered(f'<feConvolveMatrix order="99" kernelMatrix="{kernel}"/>' * 20),
        "region": _filtered('<feFlood flood-color="red"/>', fields=huge),
        "region-noise": _filtered("<feTurbulence/>", fields=huge),
        "tiles": _filtered('<feFlood x="0" y="0" width="1e-6" height="1e-6"/><feTile/>'),
        "lights": _filtered(
            '<feDiffuseLighting surfaceScale="1e9"><fePointLight x="1" y="1" z="1"/></feDiffuseLighting>' * 500
        ),
        "merges": _filtered("<feMerge>" + "<feMergeNode/>" * 20_000 + "</feMerge>"),
        "results": _filtered('<feOffset dx="1" result="a"/>' * 5_000),
        "picture-of-itself": _filtered('<feImage href="#g"/>').replace("<rect", '<rect id="g"'),
        "filter-on-all": '<filter id="f"><feGaussianBlur stdDeviation="200"/></filter>'
        + ALL.format('filter="url(#f)"') * 3_000,
        "filter-in-filter": '<filter id="f"><feGaussianBlur stdDeviation="9"/></filter>'
        + '<g filter="url(#f)">' * 190
        + ALL.format("")
        + "</g>" * 190,
        "filter-list": ALL.format('style="filter:' + "blur(300px) " * 3_000 + '"'),
    }


def _chains() -> dict[str, str]:
    """Return elements that refer to the next one, twice or more, so that 2^30 must be drawn."""

    def tree(kind: str, reference: str, levels: int = 30, times: int = 2, fields: str = "") -> str:
        parts = "".join(
            f'<{kind} id="m{n}" {fields}>{ALL.format(reference.format(n + 1)) * times}</{kind}>' for n in range(levels)
        )
        return parts + f'<{kind} id="m{levels}" {fields}>{ALL.format("")}</{kind}>' + ALL.format(reference.format(0))

    tiled = 'width="1" height="1" patternUnits="userSpaceOnUse"'
    tiny = 'width="1e-5" height="1e-5" patternUnits="userSpaceOnUse"'
    arrow = 'markerWidth="99" markerHeight="99" overflow="visible"'
    line = '<path d="M0 0' + "L9 9L0 0" * 100 + '" marker-mid="url(#m{})"/>'
    markers = "".join(f'<marker id="m{n}" {arrow}>{line.format(n + 1)}</marker>' for n in range(8))
    inner = "".join(f'<g id="g{n}" opacity=".9"><use href="#g{n + 1}"/><use href="#g{n + 1}"/></g>' for n in range(17))
    return {
        "masks": tree("mask", 'mask="url(#m{})"'),
        "masks-on-masks": "".join(f'<mask id="m{n}" mask="url(#m{n + 1})">{ALL.format("")}</mask>' for n in range(150))
        + f'<mask id="m150">{ALL.format("")}</mask>'
        + ALL.format('mask="url(#m0)"') * 50,
        "mask-circle": tree("mask", 'mask="url(#m{})"', 3).replace("#m3", "#m0"),
        "clips": tree("clipPath", 'clip-path="url(#m{})"'),
        "clips-wide": tree("clipPath", 'clip-path="url(#m{})"', 4, 300),
        "clip-circle": tree("clipPath", 'clip-path="url(#m{})"', 3).replace("#m3", "#m0"),
        "pattern-tree": tree("pattern", 'fill="url(#m{})"', fields=tiled),
        "pattern-tree-wide": tree("pattern", 'fill="url(#m{})"', 5, 50, tiled),
        "pattern-tiny": tree("pattern", 'fill="url(#m{})"', 3, fields=tiny),
        "pattern-stroke": tree("pattern", 'stroke="url(#m{})" stroke-width="9" fill="none"', 10, 5, tiled),
        "pattern-large-tile": '<pattern id="p" width="1e7" height="1e7" patternUnits="userSpaceOnUse">'
        + ALL.format("")
        + "</pattern>"
        + ALL.format('fill="url(#p)"'),
        "pattern-circle": tree("pattern", 'fill="url(#m{})"', 3, fields=tiled).replace("#m3", "#m0"),
        "gradient-circle": '<linearGradient id="a" href="#b"/><linearGradient id="b" href="#a"/>'
        + ALL.format('fill="url(#a)"'),
        "markers": markers + line.format(0),
        "marker-circle": f'<marker id="m0" {arrow}>{line.format(0)}</marker>' + line.format(0),
        "groups-of-uses": f'{inner}<g id="g17">{ALL.format("")}</g><use href="#g0"/>',
        "layers-of-all": '<g opacity=".5" style="mix-blend-mode:multiply">' * 190
        + ALL.format("") * 1_000
        + "</g>" * 190,
        "use-of-svg": '<svg id="s" width="1e9" height="1e9">'
        + ALL.format("")
        + "</svg>"
        + '<use href="#s" width="1e9"/>' * 1_000,
    }


def _shapes() -> dict[str, str]:
    wide = 'fill="none" stroke="red" stroke-width="9"'
    curve = "M0 0" + "".join(
        f"C{n % 41} {n * 7 % 25} {n * 13 % 41} {n * 3 % 25} {n * 11 % 41} {n * 5 % 25}" for n in range(100_000)
    )
    return {
        "dashes": f'<path d="M0 0L40 24" stroke-dasharray="1e-7" {wide}/>' * 20,
        "dashes-far": f'<path d="M-1e9 0L1e9 24" stroke-dasharray=".01" {wide}/>',
        "curves": f'<path d="{curve}" {wide}/>',
        "curves-dashed": f'<path d="{curve}" stroke-dasharray=".01" stroke-linecap="round" {wide}/>',
        "circles": '<circle cx="20" cy="12" r="1e9" stroke="red" stroke-width="1e9"/>' * 20_000,
        "numbers": '<path d="M' + "1e38 -1e38 " * 100_000 + '" stroke="red"/>',
        "arcs": '<path d="M0 0' + "A1e-9 1e9 45 1 1 40 24" * 50_000 + f'" {wide}/>',
        "scale": '<g transform="scale(1e30)">' * 100 + ALL.format(wide) + "</g>" * 100,
        "transforms": ALL.format('transform="' + "rotate(1) " * 500_000 + '"'),
        "points": f'<polygon points="{"0 0 40 24 " * 500_000}" {wide}/>',
        "large-all": ALL.format(wide) * 190_000,
        "gradients": '<radialGradient id="a">'
        + '<stop offset=".5"/>' * 100_000
        + "</radialGradient>"
        + ALL.format('fill="url(#a)"') * 1_000,
    }


def _styles() -> dict[str, str]:
    classes = "".join(f".a{n},.b{n} .c{n}>.d{n}{{fill:red}}" for n in range(5_000))
    return {
        "selectors": f"<style>{classes}</style>" + ALL.format('class="a1 b2 c3 d4"') * 20_000,
        "descendants": f"<style>{'g ' * 100}rect{{fill:red}}</style>"
        + "<g>" * 150
        + ALL.format("") * 20_000
        + "</g>" * 150,
        "attributes": f"<style>{'[a*=b]' * 50_000}{{fill:red}}</style>" + ALL.format("") * 1_000,
        "declarations": f"<style>rect{{{'fill:red;' * 500_000}}}</style>" + ALL.format("") * 100,
        "urls": f"<style>{'url(' * 300_000}</style>",
        "url-spaces": f"<style>{('url(' + ' ' * 3_000) * 300}</style>",
        "imports": f"<style>{'@import' * 300_000}</style>",
        "families": f"<style>{'font-family:' * 200_000}</style>",
        "style-many": ALL.format(f'style="{"fill:red;" * 500_000}"'),
        "switches": "<switch>" * 190 + ALL.format("") + "</switch>" * 190,
        "entities": "<text>" + "&#65;" * 1_000_000 + "</text>",
    }


def _text() -> dict[str, str]:
    curve = "M0 0" + "C1 2 3 4 5 6" * 20_000
    dashes = 'stroke="red" stroke-width="9" stroke-dasharray=".001"'
    return {
        "text-long": f"<text>{'mW ' * 500_000}</text>",
        "text-parts": f"<text>{'<tspan>a</tspan>' * 60_000}</text>",
        "text-many": '<text x="1" y="9">abc</text>' * 60_000,
        "text-large": '<text y="9" font-size="1e9">abc</text>' * 1_000,
        "text-places": f'<text x="{"1 " * 300_000}">{"a" * 300_000}</text>',
        "text-on-curve": f'<path id="p" d="{curve}"/><text><textPath href="#p">{"abc" * 20_000}</textPath></text>',
        "text-stroke": f'<text y="20" font-size="20" {dashes}>{"&amp;@" * 500}</text>',
        "text-marks": f"<text>a{chr(0x301) * 300_000}</text>",
        "text-both-ways": f"<text>{(chr(0x202E) + 'a') * 100_000}</text>",
        "text-masks": '<mask id="m"><text mask="url(#m)">a</text></mask><text mask="url(#m)">abc</text>',
    }


def _embedded() -> dict[str, str]:
    def image(data: bytes, kind: str = "png", fields: str = 'width="40" height="24"') -> str:
        return f'<image href="data:image/{kind};base64,{base64.b64encode(data).decode()}" {fields}/>'

    large = saved("PNG", Image.new("1", (12_000, 12_000)))
    small = image(saved("PNG", Image.new("RGB", (8, 8))), fields='id="i" width="1e9" height="1e9"')
    return {
        "picture-144-mp": image(large),
        "pictures-144-mp": image(large) * 4,
        "picture-often": image(saved("PNG", Image.new("L", (4_000, 4_000)))) * 20,
        "picture-of-many-uses": "<defs>"
        + image(saved("PNG", Image.new("L", (3_000, 3_000))), fields='id="i"')
        + "</defs>"
        + '<use href="#i"/>' * 2_000,
        "picture-large": small + '<use href="#i"/>' * 1_000,
        "picture-in-pattern": '<pattern id="p" width=".01" height=".01">'
        + small
        + "</pattern>"
        + ALL.format('fill="url(#p)"'),
        "picture-webp": image(saved("WEBP", Image.new("RGB", (9_000, 9_000))), "webp"),
    }
