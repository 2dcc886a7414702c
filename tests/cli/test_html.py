"""`thumbsmith html`: one image's thumbnails as HTML."""

from html.parser import HTMLParser
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.command import Command
from tests.pictures import picture
from thumbsmith import Recipe, converge, open_store
from thumbsmith.reconcile.html import Choice
from thumbsmith.reconcile.html import picture as markup
from thumbsmith.reconcile.manifest import Manifest, RenditionRecord, SourceRecord

RECIPE = """
[defaults]
formats = ["jpeg", "avif", "png", "webp"]
[variants.small]
width = 20
[variants.large]
width = 40
[variants.icon]
width = 8
height = 8
fit = "cover"
dpr = [1, 2]
"""


class _Elements(HTMLParser):
    """The elements of a page, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.between = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect an element."""
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self.between += data.strip()


def _made(thumbsmith: Command, key: str = "a.jpg", recipe: str = RECIPE) -> None:
    converge(key, open_store("photos"), open_store("thumbs"), Recipe.loads(recipe))


def _shown(thumbsmith: Command, *arguments: str) -> list[tuple[str, dict[str, str | None]]]:
    ran = thumbsmith("html", *arguments)
    assert ran.code == 0, ran.err
    return _Elements(ran.out).found


def test_the_best_format_comes_first(thumbsmith: Command):
    """AVIF comes before WebP, JPEG is the fallback, and a PNG that would win over JPEG is left out."""
    _made(thumbsmith)
    (outer, _), (_, avif), (_, webp), (inner, image) = _shown(thumbsmith, "a.jpg", "thumbs")
    assert (outer, inner) == ("picture", "img")
    assert [each["type"] for each in (avif, webp)] == ["image/avif", "image/webp"]
    assert [entry.split()[1] for entry in avif["srcset"].split(", ")] == ["20w", "40w"]
    assert (image["width"], image["height"], image["loading"]) == ("40", "27", "lazy")
    assert image["src"].startswith("a.jpg/large.jpg?v=")
    assert avif["sizes"] == image["sizes"] == "(max-width: 40px) 100vw, 40px"


def test_every_address_leads_to_a_file(thumbsmith: Command):
    """Each address is that of a thumbnail, below the base if one is given."""
    _made(thumbsmith)
    _, *elements = _shown(thumbsmith, "a.jpg", "thumbs", "--base", "https://example.com/t/", "--variant", "icon")
    for _, attributes in elements:
        for entry in attributes["srcset"].split(", "):
            address, density = entry.split()
            path = urlsplit(address).path
            assert address.startswith("https://example.com/t/a.jpg/")
            assert density == ("2x" if "%402x" in path else "1x")
            assert (thumbsmith.folder / "thumbs" / unquote(path).removeprefix("/t/")).is_file()


def test_the_placeholder_is_there_before_the_picture(thumbsmith: Command):
    """The mean color is the background, with the ThumbHash; images with transparency have no background."""
    _made(thumbsmith)
    image = _shown(thumbsmith, "a.jpg", "thumbs", "--alt", 'A "cat"')[-1][1]
    assert "background-color: #102030" in image["style"]
    assert len(image["data-thumbhash"]) >= 20
    assert image["alt"] == 'A "cat"'
    (thumbsmith.folder / "photos" / "clear.png").write_bytes(picture("#10203040", kind="png"))
    _made(thumbsmith, "clear.png")
    assert "background" not in _shown(thumbsmith, "clear.png", "thumbs")[-1][1]["style"]


def test_what_cannot_be_shown_gets_a_sentence(thumbsmith: Command):
    """Missing thumbnails are transient; a rejected image, an unknown variant and a cropped image are not."""
    ran = thumbsmith("html", "a.jpg", "thumbs")
    assert (ran.code, ran.out) == (1, "")
    assert "run sync first" in ran.err
    (thumbsmith.folder / "photos" / "text.jpg").write_bytes(b"no image")
    _made(thumbsmith, "text.jpg")
    ran = thumbsmith("html", "text.jpg", "thumbs")
    assert (ran.code, "unsupported_format" in ran.err) == (2, True)
    _made(thumbsmith)
    ran = thumbsmith("html", "a.jpg", "thumbs", "--variant", "huge")
    assert (ran.code, "expected the variant huge, found small, large, icon" in ran.err) == (2, True)
    _made(thumbsmith, recipe="[variants.icon]\nwidth = 8\nheight = 8\nfit = 'cover'")
    ran = thumbsmith("html", "a.jpg", "thumbs")
    assert (ran.code, "--variant NAME, found icon" in ran.err) == (2, True)


def _manifest(key: str) -> Manifest:
    rendition = RenditionRecord(
        variant="v",
        fingerprint="f",
        key=f"{key}/v.webp",
        type="image/webp",
        format="webp",
        width=30,
        height=20,
        bytes=1,
        sha256="0123456789",
        etag="e",
    )
    source = SourceRecord(key=key, etag="e", bytes=1, format="jpeg", width=300, height=200, frames=1, alpha=False)
    return Manifest(recipe="r", limits="l", source=source, color="#000000", renditions=(rendition,))


HARD = [
    '"><script>alert(1)</script>',
    "//evil.example/a.jpg",
    "/a.jpg",
    "javascript:alert(1)",
    "a,b 2x.jpg",
    "a?b#c&d;e",
]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.sampled_from(HARD), st.text())
def test_no_key_and_no_text_gets_out_of_its_place(key: str, alt: str):
    """Any key and text give one picture with one image, whose address is below that of the page."""
    parsed = _Elements(markup(_manifest(key), Choice(alt=alt)))
    assert [name for name, _ in parsed.found] == ["picture", "img"]
    assert parsed.between == ""
    image = parsed.found[-1][1]
    assert len(image["srcset"].split(", ")) == 1
    address = urlsplit(urljoin("https://example.com/page/", image["src"]))
    assert (address.scheme, address.netloc, address.query, address.fragment) == (
        "https",
        "example.com",
        "v=01234567",
        "",
    )
    if not {".", "..", ""} & set(key.split("/")):  # urljoin drops what is empty, unlike browsers
        assert unquote(address.path) == f"/page/{key}/v.webp"


@pytest.mark.parametrize(("base", "before"), [("https://a/b", "https://a/b/"), ("/t/", "/t/"), ("", "")])
def test_a_base_stands_before_the_key(base: str, before: str):
    """A base is the start of each address, with or without a slash at its end."""
    image = _Elements(markup(_manifest("x.jpg"), Choice(base=base))).found[-1][1]
    assert image["src"] == f"{before}x.jpg/v.webp?v=01234567"


@pytest.mark.parametrize(
    "arguments",
    [
        ["thumbs", "a.jpg"],
        ["a.jpg", "thumbs"],
        ["thumbs", "photos/a.jpg"],
        ["./photos/a.jpg", "./thumbs"],
        ["thumbs", "thumbs/a.jpg"],
        ["thumbs", "./thumbs/a.jpg/"],
        ["thumbs/a.jpg/", "thumbs/"],
        ["thumbs", "thumbs/a.jpg/manifest.json"],
        ["thumbs/a.jpg/small.webp", "thumbs"],
    ],
)
def test_the_key_may_be_a_path_in_any_place(thumbsmith: Command, arguments: list[str]):
    """DST KEY and KEY DST, with a key, the path of the image, or that of its thumbnails, mean the same."""
    _made(thumbsmith)
    assert _shown(thumbsmith, *arguments) == _shown(thumbsmith, "thumbs", "a.jpg")


@pytest.mark.parametrize(("key", "hint"), [("aa.jpg", "did you mean a.jpg?"), ("zebra", "run sync first")])
def test_an_unknown_key_names_the_nearest(thumbsmith: Command, key: str, hint: str):
    """Without a manifest the exit code is 1, and the message has the nearest key, or what to do."""
    _made(thumbsmith)
    ran = thumbsmith("html", "thumbs", key)
    assert (ran.code, len(ran.err.splitlines()), hint in ran.err) == (1, 1, True)
