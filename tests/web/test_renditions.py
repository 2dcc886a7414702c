"""`/renditions` on a real server: thumbnails, and nothing else."""

import json
import re
from io import BytesIO

import pytest
from PIL import Image

from tests.web.serving import Served


def test_every_url_of_srcset_leads_to_its_picture(server: Served):
    """Each entry of the manifest's srcset, put behind /renditions/, is served and may be kept for a year."""
    key = server.upload("sets/ä b.png")
    for entries in server.image(key).json()["srcset"].values():
        for entry in entries.split(", "):
            path, width = entry.split(" ")
            answer = server.client.get(f"/renditions/{path}")
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
            assert f"{Image.open(BytesIO(answer.content)).width}w" == width


def test_the_format_is_negotiated(server: Served):
    """The picture is in the format that Accept wants; the answer says that it depends on it; 406 where none is."""
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


def test_conditional_and_range_requests(server: Served):
    """304 for what is known, 206 for a part, 416 for none; HEAD is GET without the body."""
    path = f"/renditions/{server.upload('conditional.png')}/small.webp"
    whole = server.client.get(path)
    etag = whole.headers["etag"]
    assert re.fullmatch('"[0-9a-f]{32}"', etag)
    known = server.client.get(path, headers={"If-None-Match": f'"other", {etag}'})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", etag)
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


def test_a_rendition_that_is_missing_is_made(server: Served):
    """A thumbnail that somebody deleted or altered is made again when it is asked for, and is the same."""
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


def test_copied_thumbnails_are_served_as_they_are(server: Served):
    """Other etags with the recorded bytes are no reason to make anything."""
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
def test_what_the_recipe_does_not_make_is_not_found(server: Served, path: str):
    """No such image, variant or format: 404, and nothing is made."""
    if not (server.sources / "there.png").exists():
        server.upload("there.png")
    assert server.client.get(f"/renditions/{path}").status_code == 404


def test_a_source_is_never_sent(server: Served):
    """Under no path of the API do the bytes of a source come back, whatever they are."""
    data = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    key = server.upload("evil.png", data)
    for path in (f"/images/{key}", f"/renditions/{key}", f"/renditions/{key}/source", f"/{key}", f"/sources/{key}"):
        answer = server.client.get(path, headers={"Accept": "*/*"})
        assert data not in answer.content
        assert answer.headers["content-type"] in {"application/json", "application/problem+json"}


def test_a_forged_manifest_makes_nothing_executable(server: Served):
    """What a manifest in the destination claims of a type or a path is not believed."""
    key = server.upload("forged.png")
    file = server.thumbnails / key / "manifest.json"
    manifest = json.loads(file.read_text())
    for each in manifest["renditions"]:
        each["type"] = "text/html"
        each["key"] = f"../../{each['key']}"
    file.write_text(json.dumps(manifest))
    answer = server.client.get(f"/renditions/{key}/small.webp")
    assert answer.headers["content-type"] in {"image/webp", "application/problem+json"}
