"""The page of `thumbsmith demo`: one file without scripts, in the design of the page of `thumbsmith serve`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from typing import Final
from urllib.parse import quote

from thumbsmith.reconcile.html import Choice, picture
from thumbsmith.reconcile.manifest import Manifest, RenditionRecord

# The folder of the thumbnails, next to the page.
BASE: Final = "thumbnails"

# The picture takes half of the page, and all of a narrow one.
_SIZES: Final = "(max-width: 46rem) 92vw, 36rem"

_POLICY: Final = "default-src 'none'; img-src 'self' file:; style-src 'unsafe-inline'"


def page(manifests: Iterable[Manifest], descriptions: Mapping[str, str]) -> str:
    """Return the page, for a file next to the folder of the thumbnails. `descriptions` are sentences by key."""
    assets = files("thumbsmith") / "web" / "assets"
    style, icon = ((assets / name).read_text(encoding="utf-8") for name in ("style.css", "icon.svg"))
    sections = "".join(_section(manifest, descriptions.get(manifest.source.key, "")) for manifest in manifests)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>Thumbsmith demo</title>
<style>
{style}</style>
</head>
<body>
<header class="top">
<span class="brand"><span class="logo" aria-hidden="true">{icon.strip()}</span> Thumbsmith</span>
</header>
<main>
<h1>Thumbsmith demo</h1>
<p class="lead">Each image is shown by the markup that <code>thumbsmith html</code> prints.
To compare formats and upload your own images, run <code>thumbsmith serve --root thumbsmith-demo --open</code>.</p>
{sections}</main>
</body>
</html>
"""


def _section(manifest: Manifest, description: str) -> str:
    source = manifest.source
    about = f"<p>{escape(description)}</p>\n" if description else ""
    size = f"{source.bytes:,} bytes"
    if manifest.rejection:
        reason = (
            f'<p><span class="code">{escape(manifest.rejection.code)}</span> {escape(manifest.rejection.detail)}</p>'
        )
        return _panel(source.key, "", f'{reason}\n<p class="facts muted">{size}</p>\n')
    whole = any(manifest.shows_whole_picture(each) for each in manifest.renditions)
    choice = Choice(base=BASE, sizes=_SIZES if whole else "", variant=None if whole else manifest.renditions[0].variant)
    shown = picture(manifest, choice)
    background = " checkerboard" if source.alpha else ""
    rows = "".join(_row(each, source.bytes) for each in manifest.renditions)
    facts = f"{(source.format or '').upper()} · {source.width} × {source.height} · {size}"
    table = (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Thumbnails of {escape(source.key)}">\n'
        "<table>\n<thead><tr><th>Thumbnail</th>"
        '<th class="number">Pixels</th><th class="number">Bytes</th><th class="number">Saved</th></tr></thead>\n'
        f"<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )
    figure = f'<div class="sample-picture{background}">\n{shown}\n</div>\n'
    return _panel(source.key, figure, f'{about}<p class="facts muted">{escape(facts)}</p>\n{table}')


def _panel(key: str, figure: str, content: str) -> str:
    return f'<section class="sample">\n{figure}<div>\n<h2>{escape(key)}</h2>\n{content}</div>\n</section>\n'


def _row(each: RenditionRecord, source_bytes: int) -> str:
    saved = f"{int(100 - 100 * each.bytes / source_bytes)} %" if each.bytes < source_bytes else ""
    link = f'<a href="{BASE}/{escape(quote(each.key))}">{escape(each.name)}</a>'
    cells = (f"{each.width} × {each.height}", f"{each.bytes:,}", saved)
    return f"<tr><td>{link}</td>{''.join(f'<td class=number>{cell}</td>' for cell in cells)}</tr>\n"
