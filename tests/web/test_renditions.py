"""`/renditions`: negotiation without a server, and thumbnails on a real server."""

import json
import re
from io import BytesIO

import pytest
from PIL import Image

from tests.web.serving import RunningServer
from thumbsmith.web.renditions import Offer, choose_offer, parse_accept

WEBP, JPEG, AVIF, PNG = (
    Offer("image/webp", 200),
    Offer("image/jpeg", 300),
    Offer("image/avif", 100),
    Offer("image/png", 900),
)
ALL = (WEBP, JPEG, AVIF, PNG)

CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
OLD_SAFARI = "image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5"


@pytest.mark.parametrize(
    ("header", "offers", "chosen"),
    [
        (None, ALL, JPEG),
        ("", ALL, JPEG),
        ("*/*", ALL, JPEG),
        ("image/*", (WEBP, AVIF), WEBP),
        (CHROME, ALL, AVIF),
        (CHROME, (WEBP, JPEG), WEBP),
        (OLD_SAFARI, ALL, PNG),
        (OLD_SAFARI, (WEBP, JPEG), JPEG),
        ("image/webp;q=0.5, image/jpeg;q=0.9", ALL, JPEG),
        ("image/webp;q=0.500,image/jpeg;q=0", (WEBP, JPEG), WEBP),
        ("*/*, image/jpeg;q=0", (JPEG,), None),
        ("image/*;q=0.1, image/avif;q=0", (AVIF, PNG), PNG),
        ("text/html", ALL, None),
        ("IMAGE/WEBP ; Q=1.0", ALL, WEBP),
        ("image/webp;q=2, image/jpeg", ALL, JPEG),
        ("image/webp;q=nan", ALL, None),
        ("nonsense", ALL, None),
        ("image/webp;level=1;q=0.2, image/png;q=0.1", ALL, WEBP),
    ],
)
def test_the_preferred_format_is_chosen(header, offers, chosen):
    """Quality decides, then named types before wildcards, then the size; a type with quality 0 is never chosen."""
    assert choose_offer(offers, parse_accept(header)) == chosen


def test_every_url_of_srcset_gives_a_thumbnail(server: RunningServer):
    """Each entry of `srcset` in the manifest has its width, and may be cached for a year."""
    key = server.upload("sets/ä b.png")
    for entries in server.image(key).json()["srcset"].values():
        for entry in entries.split(", "):
            path, width = entry.split(" ")
            answer = server.client.get(f"/renditions/{path}")
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
            assert f"{Image.open(BytesIO(answer.content)).width}w" == width


def test_the_format_is_negotiated(server: RunningServer):
    """The answer has the format that Accept prefers and Vary: Accept; no acceptable format gives 406."""
    path = f"/renditions/{server.upload('negotiated.png')}/small"
    for kind in ("image/webp", "image/avif", "image/jpeg"):
        answer = server.client.get(path, headers={"Accept": f"{kind}, */*;q=0.1"})
        assert answer.headers["content-type"] == kind
        assert answer.headers["vary"] == "Accept"
        assert Image.open(BytesIO(answer.content)).format.lower() == kind.removeprefix("image/")
    refused = server.client.get(path, headers={"Accept": "image/gif"})
    assert refused.status_code == 406
    assert set(refused.json()["types"]) == {"image/webp", "image/avif", "image/jpeg"}
    named = server.client.get(f"{path}.webp", headers={"Accept": "image/avif"})
    assert named.headers["content-type"] == "image/webp"
    assert "vary" not in named.headers


def test_conditional_and_range_requests(server: RunningServer):
    """A known etag gives 304, a range 206, a range after the end 416; HEAD has the headers of GET."""
    path = f"/renditions/{server.upload('conditional.png')}/small.webp"
    whole = server.client.get(path)
    etag = whole.headers["etag"]
    assert re.fullmatch('"[0-9a-f]{32}"', etag)
    known = server.client.get(path, headers={"If-None-Match": f'"other", {etag}'})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", etag)
    date = {"If-Modified-Since": whole.headers["last-modified"]}
    assert server.client.get(path, headers=date).status_code == 304
    assert server.client.get(path, headers={**date, "If-None-Match": '"other"'}).status_code == 200
    part = server.client.get(path, headers={"Range": "bytes=2-5", "If-Range": etag})
    assert (part.status_code, part.content) == (206, whole.content[2:6])
    assert part.headers["content-range"] == f"bytes 2-5/{len(whole.content)}"
    none = server.client.get(path, headers={"Range": "bytes=999999-"})
    assert (none.status_code, none.headers["content-range"]) == (416, f"bytes */{len(whole.content)}")
    head = server.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert {k: v for k, v in head.headers.items() if k != "date"} == {
        k: v for k, v in whole.headers.items() if k != "date"
    }


def test_a_missing_rendition_is_made(server: RunningServer):
    """A thumbnail that was deleted or changed is made again on request, with the same bytes."""
    key = server.upload("missing.png")
    file = server.thumbnails / key / "small.webp"
    before = file.read_bytes()
    file.unlink()
    assert server.client.get(f"/renditions/{key}/small.webp").content == before
    file.write_bytes(b"<script>alert(1)</script>")
    answer = server.client.get(f"/renditions/{key}/small.webp")
    assert answer.content == before == file.read_bytes()
    (server.thumbnails / key / "manifest.json").unlink()
    assert server.client.get(f"/renditions/{key}/small.webp").content == before


def test_copied_thumbnails_are_served(server: RunningServer):
    """A thumbnail with the recorded bytes and another etag is served, and is not made again."""
    key = server.upload("copied.png")
    file = server.thumbnails / key / "small.webp"
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)
    changed = file.stat().st_mtime_ns
    for _ in range(2):
        assert server.client.get(f"/renditions/{key}/small.webp").content == content
    assert file.stat().st_mtime_ns == changed


@pytest.mark.parametrize(
    "path",
    [
        "none.png/small",
        "there.png/huge",
        "there.png/small.gif",
        "there.png/small.png",
        "there.png/manifest.json",
        "small",
        "there.png/",
        "there.png/small@2x",
        "there.png/small@2x.webp",
        "there.png/small.",
    ],
)
def test_unknown_renditions_are_not_found(server: RunningServer, path: str):
    """A missing image, variant or format gives 404."""
    if not (server.sources / "there.png").exists():
        server.upload("there.png")
    assert server.client.get(f"/renditions/{path}").status_code == 404


def test_a_source_is_never_sent(server: RunningServer):
    """No path of the API answers with the bytes of a source."""
    data = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    key = server.upload("evil.png", data)
    for path in (f"/images/{key}", f"/renditions/{key}", f"/renditions/{key}/source", f"/{key}", f"/sources/{key}"):
        answer = server.client.get(path, headers={"Accept": "*/*"})
        assert data not in answer.content
        assert answer.headers["content-type"] in {"application/json", "application/problem+json"}


def test_a_forged_manifest_is_not_trusted(server: RunningServer):
    """A media type or path in a manifest has no effect on the answer."""
    key = server.upload("forged.png")
    file = server.thumbnails / key / "manifest.json"
    manifest = json.loads(file.read_text())
    for each in manifest["renditions"]:
        each["type"] = "text/html"
        each["key"] = f"../../{each['key']}"
    file.write_text(json.dumps(manifest))
    answer = server.client.get(f"/renditions/{key}/small.webp")
    assert answer.headers["content-type"] in {"image/webp", "application/problem+json"}
