"""A page that shows thumbnails beside their sources: one file, no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final
from urllib.parse import quote

from thumbsmith.manifest import Manifest

STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid #8886; padding: 1rem 0; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; align-items: end; }
figure { margin: 0; }
figcaption { font-size: .8rem; opacity: .8; }
img { display: block; max-width: 100%; height: auto; }
"""


def page(manifests: Iterable[Manifest]) -> str:
    """Return the page as HTML, for a file beside the folders `sources` and `thumbnails`."""
    sections = "".join(_section(manifest) for manifest in manifests)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src 'self' file:;"
        " style-src 'unsafe-inline'\">\n"
        f"<title>Thumbsmith demo</title>\n<style>{STYLE}</style>\n<h1>Thumbsmith demo</h1>\n{sections}</html>\n"
    )


def _section(manifest: Manifest) -> str:
    source = manifest.source
    about = f"{source.width} x {source.height} {source.format}, {source.bytes:,} bytes"
    if manifest.rejection:
        about = f"{manifest.rejection.code}: {manifest.rejection.detail}"
    figures = "".join(
        f'<figure><img src="thumbnails/{quote(each.key)}" width="{each.width}" height="{each.height}" alt="">'
        f"<figcaption>{escape(each.name)}<br>{each.width} x {each.height}, {each.bytes:,} bytes</figcaption></figure>\n"
        for each in manifest.renditions
    )
    return (
        f"<section>\n<h2>{escape(source.key)}</h2>\n<p>{escape(about)}</p>\n"
        f'<div class="pictures">\n{figures}</div>\n</section>\n'
    )
