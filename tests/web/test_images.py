"""`/uploads`, `/images` and `/renditions` on a real server."""

import hashlib
import json
import os
import re
import time
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from PIL import Image

from tests.pictures import picture
from tests.web.serving import Served, served
from thumbsmith.web import Settings


def test_an_upload_becomes_thumbnails(server: Served):
    """What is uploaded lies in sources; its manifest says what lies in thumbnails; each rendition is served."""
    data = picture("#336699")
    key = server.upload("way/one.png", data)
    assert (server.sources / key).read_bytes() == data
    manifest = server.image(key).json()
    assert manifest["status"] == "ok"
    assert manifest["source"]["key"] == key
    assert {each["key"] for each in manifest["renditions"]} == {
        f"{key}/{name}" for name in ("small.webp", "small.jpg", "small.avif", "icon.webp")
    }
    for each in manifest["renditions"]:
        assert hashlib.sha256((server.thumbnails / each["key"]).read_bytes()).hexdigest() == each["sha256"]
        answer = server.client.get(f"/renditions/{each['key']}")
        assert answer.headers["content-type"] == each["type"]
        assert hashlib.sha256(answer.content).hexdigest() == each["sha256"]


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


NAMES = [
    "plain.png",
    "a b.png",
    "Ünïcödé/日本.png",
    "percent%2Fsign.png",
    "plus+&=?#;.png",
    "quote'\".png",
    "new\nline.png",
    "tab\t.png",
    "back\\slash.png",
    "very/deep/down/in/folders.png",
    "small.webp",
    "manifest.json",
    "x/small.webp/y.png",
    "tilde~.png",
    "c:\\x.png",
    "%.png",
    "\x7f\x01.png",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_key_works_in_both_spellings(server: Served, name: str):
    """A key is found as one percent-encoded segment and with its slashes kept, and so are its renditions."""
    key = server.upload(f"keys/{NAMES.index(name)}/{name}")
    for spelling in (quote(key, safe=""), quote(key, safe="/")):
        assert server.client.get(f"/images/{spelling}").json()["source"]["key"] == key
        assert server.client.get(f"/renditions/{spelling}/small").status_code == 200
    assert server.client.delete(f"/images/{quote(key, safe='')}").status_code == 204
    assert server.image(key).status_code == 404


@pytest.mark.parametrize(
    "name",
    [
        "../x.png",
        "a/../../x.png",
        "/abs.png",
        "a//b.png",
        ".hidden.png",
        "a/.b/c.png",
        "a/",
        "",
        "a\x00b.png",
        "./x.png",
        "x" * 256 + ".png",
        "a/" * 512 + "x.png",
    ],
)
def test_a_name_that_is_no_key_is_refused(server: Served, name: str):
    """Traversal, hidden files, folders, NUL, what is too long: 422, and nothing is written anywhere."""

    def there() -> list[Path]:
        """Return what is in the source and beside the root; thumbnails of other tests' images may come meanwhile."""
        return sorted(
            [*server.folder.parent.iterdir(), *server.folder.iterdir(), *(server.folder / "sources").rglob("*")]
        )

    before = there()
    answer = server.grant(name, 3)
    assert answer.status_code == 422
    assert answer.json()["code"] == "unsupported_key"
    assert there() == before


@pytest.mark.parametrize(
    "path", ["..%2F..%2Fetc%2Fpasswd", "%2e%2e/%2e%2e/etc/passwd", "%2Fetc%2Fpasswd", "a%00b", "%ff"]
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_path_leads_out_of_the_root(server: Served, path: str, method: str):
    """Whatever is asked for: not found, or no text; and a file beside the root is still there."""
    outside = server.folder / "outside.png"
    outside.write_bytes(picture())
    for each in (path, "..%2Foutside.png"):
        for start in ("/images/", "/renditions/"):
            raw = httpx.URL(
                server.client.base_url.join("/"), raw_path=f"{start}{each}{'/small' * ('r' in start)}".encode()
            )
            status = server.client.request(method, raw).status_code
            assert status in {400, 404, 405}, (start, each, status)
    assert outside.exists()


def test_a_symbolic_link_is_no_image(server: Served):
    """A link in sources that leads out of it is neither shown nor made thumbnails of."""
    (server.folder / "secret.png").write_bytes(picture())
    (server.sources / "link.png").symlink_to(server.folder / "secret.png")
    assert server.image("link.png").status_code == 404


def test_a_name_that_is_taken_gets_a_number(server: Served):
    """Nothing is replaced unless that is asked for."""
    first, second = server.upload("taken/x.png", picture("#000000")), server.upload("taken/x.png", picture("#ffffff"))
    assert (first, second) == ("taken/x.png", "taken/x-2.png")
    assert (server.sources / first).read_bytes() == picture("#000000")
    assert server.upload(first, picture("#ff0000"), replace=True) == first
    assert (server.sources / first).read_bytes() == picture("#ff0000")


def test_two_uploads_under_one_name_at_once_end_apart(server: Served):
    """Leave that is given twice is given for two keys, and a file that came meanwhile is not replaced."""
    one, two = server.grant("race/x.png", 5).json(), server.grant("race/x.png", 5).json()
    assert one["key"] != two["key"]
    (server.sources / "race").mkdir(exist_ok=True)
    (server.sources / one["key"]).write_bytes(b"theirs")
    answer = server.client.put(one["upload"]["url"], content=b"ours!", headers=one["upload"]["headers"])
    assert answer.status_code == 409
    assert (server.sources / one["key"]).read_bytes() == b"theirs"


def test_an_upload_url_works_once(server: Served):
    """Replay is refused."""
    data = picture()
    upload = server.grant("once.png", len(data)).json()["upload"]
    assert server.client.put(upload["url"], content=data, headers=upload["headers"]).status_code == 201
    assert server.client.put(upload["url"], content=data, headers=upload["headers"]).status_code == 404
    assert server.client.put("/uploads/guessed", content=data, headers=upload["headers"]).status_code == 404


def test_an_upload_url_runs_out(tmp_path: Path):
    """After its time it is refused, and nothing is written."""
    with served(tmp_path, Settings(upload_seconds=0)) as server:
        upload = server.grant("late.png", 3).json()["upload"]
        assert server.client.put(upload["url"], content=b"abc", headers=upload["headers"]).status_code == 404
        assert list(server.sources.iterdir()) == []


@pytest.mark.parametrize(
    ("sent", "headers", "status"),
    [
        (b"abcd", {}, 413),
        (b"ab", {}, 400),
        (b"abc", {"Content-Type": "text/html"}, 415),
        (b"abc", {"Content-Type": "image/svg+xml"}, 415),
        ([b"ab", b"cd"], {}, 413),
        ([b"a", b"b"], {}, 400),
    ],
)
def test_an_upload_is_what_was_asked_for(server: Served, sent, headers, status):
    """Another size or type than granted is refused, also where the size is told by the end only; nothing is left."""
    upload = server.grant("bound.png", 3).json()["upload"]
    content = iter(sent) if isinstance(sent, list) else sent
    answer = server.client.put(upload["url"], content=content, headers={**upload["headers"], **headers})
    assert answer.status_code == status
    assert not (server.sources / "bound.png").exists()
    assert not [each for each in server.sources.iterdir() if each.name.startswith(".thumbsmith-")]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "x.svg", "type": "image/svg+xml", "bytes": 3}, 415),
        ({"name": "x.html", "type": "text/html", "bytes": 3}, 415),
        ({"name": "x.png", "type": "image/png", "bytes": 2_000_001}, 413),
        ({"name": "x.png", "type": "image/png", "bytes": 0}, 400),
        ({"name": "x.png", "type": "image/png", "bytes": True}, 400),
        ({"name": "x.png", "type": "image/png", "bytes": "3"}, 400),
        ({"name": 1, "type": "image/png", "bytes": 3}, 400),
        ({"name": "x.png", "bytes": 3}, 400),
        ({"name": "x.png", "type": "image/png", "bytes": 3, "more": 1}, 400),
        ({"name": "\ud800.png", "type": "image/png", "bytes": 3}, 400),
        ([], 400),
        (None, 400),
    ],
)
def test_what_cannot_be_uploaded_is_refused_before_a_byte_is_sent(server: Served, body, status):
    """Wrong type, oversize, and bodies that are not what is expected, each with a problem."""
    answer = server.client.post(
        "/uploads", content=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'"' + b"x" * (300 << 10) + b'"', "application/json", 413),
    ],
)
def test_a_body_that_is_no_json_is_refused(server: Served, content, kind, status):
    """Also one that is nested without end, or too large."""
    assert server.client.post("/uploads", content=content, headers={"Content-Type": kind}).status_code == status


def test_a_rejected_image_says_why(server: Served):
    """422 with the code and a sentence; the rendition too; the list shows it; it can be deleted."""
    key = server.upload("bad/text.png", b"no picture at all")
    answer = server.image(key)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == answer.json()["rejection"]["code"] == "unsupported_format"
    assert answer.json()["detail"]
    assert server.client.get(f"/renditions/{key}/small").status_code == 422
    listed = server.client.get("/images", params={"prefix": "bad/", "status": "rejected"}).json()
    assert [each["rejection"]["code"] for each in listed["images"]] == ["unsupported_format"]
    assert server.client.get("/images", params={"prefix": "bad/", "status": "ok"}).json() == {"images": []}
    assert server.client.delete(f"/images/{key}").status_code == 204
    assert not (server.thumbnails / key).exists()


def test_files_put_there_by_hand_are_kept_right(server: Served):
    """A file that is dropped into sources, replaced and deleted there is followed without being asked for."""
    path, made = server.sources / "hand.png", server.thumbnails / "hand.png" / "small.webp"
    path.write_bytes(picture("#111111"))
    _until(made.exists)
    before = made.read_bytes()
    path.write_bytes(picture("#eeeeee"))
    _until(lambda: made.exists() and made.read_bytes() != before)
    path.unlink()
    _until(lambda: not made.parent.exists())


def _until(found) -> None:
    end = time.monotonic() + 60
    while not found():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_image_in_the_making_is_told_and_waited_for(tmp_path: Path):
    """202 at first, with when to come back; with ?wait= the manifest once it is there."""
    with served(tmp_path, jobs=1) as server:
        noise = Image.frombytes("RGB", (3000, 2000), os.urandom(18_000_000))
        file = BytesIO()
        noise.save(file, "JPEG", quality=1)
        (server.sources / "slow.jpg").write_bytes(file.getvalue())
        first = server.image("slow.jpg")
        assert first.status_code == 202
        assert first.json()["status"] == "making"
        assert first.headers["retry-after"] == "1"
        assert server.image("slow.jpg", "?wait=60").status_code == 200


@pytest.mark.parametrize("wait", ["x", "-1", "nan", "inf", ""])
def test_a_wait_that_is_no_number_is_refused(server: Served, wait: str):
    """400, whatever is asked for."""
    assert server.image("none.png", f"?wait={wait}").status_code == 400


def test_a_list_gives_every_image_once_in_order(server: Served):
    """Pages of any size, one after another by their cursors, make the whole list; a prefix selects."""
    keys = sorted(server.upload(f"pages/{name}") for name in ("b.png", "a/z.png", "a.png", "é.png", "Z.png"))
    for limit in (1, 2, 5, 200):
        found, cursor = [], None
        while True:
            query = {"prefix": "pages/", "limit": limit, **({"cursor": cursor} if cursor else {})}
            page = server.client.get("/images", params=query).json()
            found += [each["key"] for each in page["images"]]
            cursor = page.get("cursor")
            if not cursor:
                break
        assert found == keys
    assert [e["key"] for e in server.client.get("/images?prefix=pages/a").json()["images"]] == keys[1:3]
    image = server.client.get("/images?prefix=pages/a.png").json()["images"][0]
    assert image["width"] == 60
    assert all(server.client.get(each["url"]).status_code == 200 for each in image["renditions"])


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=%C3%A9", "cursor=a", "status=nice"])
def test_a_query_that_makes_no_sense_is_refused(server: Served, query: str):
    """400 with a sentence that names the parameter."""
    answer = server.client.get(f"/images?{query}")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(query.partition("=")[0])


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


def test_a_manifest_that_is_known_is_not_sent_again(server: Served):
    """The manifest has an etag that changes with it."""
    key = server.upload("known.png")
    etag = server.image(key).headers["etag"]
    again = server.client.get(f"/images/{key}", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    server.upload(key, picture("#00ff00"), replace=True)
    server.until(key, 200)
    assert server.client.get(f"/images/{key}", headers={"If-None-Match": etag}).status_code == 200


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
