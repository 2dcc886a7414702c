"""Malicious SVG: entities, references to the outside and in circles, and drawings that take too long."""

from collections.abc import Iterator
from functools import cache

from tests.containers.files import svg
from tests.hostile.samples import Sample

TOO_MUCH = ("corrupt", "truncated", "over_time", "over_memory", "too_many_pixels", "too_long_side")


@cache
def drawings() -> tuple[Sample, ...]:
    """Return drawings with the expected outcome of each."""
    return (*_outside(), *_large())


def _outside() -> Iterator[Sample]:
    """Yield drawings that refer to files and servers, or run code: this is left out."""
    for target in ("file:///etc/passwd", "http://169.254.169.254/", "//h/x.png", "/etc/passwd", "../x.png"):
        yield Sample(f"svg-image-{target}", svg(f'<image xlink:href="{target}" width="9" height="9"/>'), "thumbnail")
        yield Sample(f"svg-use-{target}", svg(f'<use href="{target}#a"/>'), "thumbnail")
        yield Sample(
            f"svg-css-{target}", svg(f"<style>@import url({target});rect{{fill:url({target})}}</style>"), "thumbnail"
        )
        yield Sample(f"svg-sheet-{target}", svg(before=f'<?xml-stylesheet href="{target}"?>'), "thumbnail")
        entity = f'<!DOCTYPE svg [<!ENTITY a SYSTEM "{target}">]>'
        yield Sample(f"svg-entity-{target}", svg("<text>&a;</text>", before=entity), "either")
        dtd = f'<!DOCTYPE svg SYSTEM "{target}" [<!ENTITY % b SYSTEM "{target}"> %b;]>'
        yield Sample(f"svg-dtd-{target}", svg(before=dtd), "either")
    yield Sample(
        "svg-script", svg("<script>fetch('http://h/')</script>", 'width="9" height="9" onload="x()"'), "thumbnail"
    )
    yield Sample("svg-animation", svg('<rect><animate attributeName="href" values="http://h/"/></rect>'), "thumbnail")
    yield Sample(
        "svg-page", svg("<foreignObject><p xmlns='http://www.w3.org/1999/xhtml'>a</p></foreignObject>"), "thumbnail"
    )


def _large() -> Iterator[Sample]:
    """Yield drawings of a few bytes that expand to gigabytes, or need hours."""
    laugh = "".join(f'<!ENTITY a{number} "{f"&a{number - 1};" * 10}">' for number in range(1, 10))
    yield Sample(
        "svg-laugh", svg("<text>&a9;</text>", before=f'<!DOCTYPE svg [<!ENTITY a0 "ha">{laugh}]>'), "reject", TOO_MUCH
    )
    quadratic = f'<!DOCTYPE svg [<!ENTITY a "{"x" * 50_000}">]>'
    yield Sample("svg-quadratic", svg(f"<text>{'&a;' * 50_000}</text>", before=quadratic), "reject", TOO_MUCH)
    yield Sample(
        "svg-entity-circle", svg("&a;", before='<!DOCTYPE svg [<!ENTITY a "&b;"><!ENTITY b "&a;">]>'), "reject"
    )
    uses = "".join(f'<g id="g{number}">{f"""<use href="#g{number - 1}"/>""" * 10}</g>' for number in range(1, 12))
    yield Sample("svg-use-bomb", svg(f'<g id="g0"><path d="M0 0h9"/></g>{uses}'), "reject", TOO_MUCH)
    yield Sample(
        "svg-use-circle", svg('<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>'), "reject", TOO_MUCH
    )
    yield Sample("svg-deep", svg("<g>" * 90_000 + "</g>" * 90_000), "reject", TOO_MUCH)
    yield Sample("svg-many", svg("<g/>" * 300_000), "reject", TOO_MUCH)
    yield Sample("svg-layers", svg('<g opacity=".5">' * 150 + "<rect/>" + "</g>" * 150), "either", TOO_MUCH)
    yield Sample("svg-huge", svg(size='width="1e9" height="1e9"'), "reject", TOO_MUCH)
    yield Sample("svg-huge-box", svg(size='viewBox="0 0 49999 49999"'), "reject", TOO_MUCH)
    patterns = "".join(
        f'<pattern id="p{number}" width=".01" height=".01"><rect width="40" height="24" fill="url(#p{number + 1})"/>'
        "</pattern>"
        for number in range(20)
    )
    yield Sample("svg-patterns", svg(f'{patterns}<rect width="40" height="24" fill="url(#p0)"/>'), "either", TOO_MUCH)
    png = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA6mAAAOpgCAIAAAB="
    yield Sample("svg-picture-bomb", svg(f'<image href="{png}" width="9" height="9"/>'), "reject")
    inner = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>"
    yield Sample("svg-in-svg", svg(f'<image href="{inner.replace("<", "&lt;")}" width="9" height="9"/>'), "thumbnail")
