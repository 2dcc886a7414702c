"""`/images` on a real server: keys, the status of an image, the list, and deletion."""

import os
import time
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from PIL import Image

from tests.pictures import picture
from tests.web.serving import RunningServer, run_server

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
    "manifest.json/x.png",
    "x/small.webp/y.png",
    "tilde~.png",
    "c:\\x.png",
    "%.png",
    "\x7f\x01.png",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_key_works_in_both_encodings(server: RunningServer, name: str):
    """A key and its renditions are found as one percent-encoded segment, and with slashes."""
    key = server.upload(f"keys/{NAMES.index(name)}/{name}")
    for encoded in (quote(key, safe=""), quote(key, safe="/")):
        assert server.client.get(f"/images/{encoded}").json()["source"]["key"] == key
        assert server.client.get(f"/renditions/{encoded}/small").status_code == 200
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
def test_an_invalid_name_is_refused(server: RunningServer, name: str):
    """Path traversal, hidden files, folders, NUL and long names get 422, and no file is written."""

    def files() -> list[Path]:
        """Return the files that could change. Thumbnails may appear at any time for images of other tests."""
        return sorted(
            [*server.folder.parent.iterdir(), *server.folder.iterdir(), *(server.folder / "sources").rglob("*")]
        )

    before = files()
    answer = server.request_upload(name, 3)
    assert answer.status_code == 422
    assert answer.json()["code"] == "unsupported_key"
    assert files() == before


@pytest.mark.parametrize(
    "path", ["..%2F..%2Fetc%2Fpasswd", "%2e%2e/%2e%2e/etc/passwd", "%2Fetc%2Fpasswd", "a%00b", "%ff"]
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_path_leaves_the_root(server: RunningServer, path: str, method: str):
    """Such a path gets 400, 404 or 405, and a file beside the sources is not deleted."""
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


def test_a_symbolic_link_is_not_an_image(server: RunningServer):
    """A link that leads out of the source folder gets 404."""
    (server.folder / "secret.png").write_bytes(picture())
    (server.sources / "link.png").symlink_to(server.folder / "secret.png")
    assert server.image("link.png").status_code == 404


def test_a_rejected_image_has_a_reason(server: RunningServer):
    """The image and its rendition get 422 with code and sentence; the list contains it; it can be deleted."""
    key = server.upload("bad/text.png", b"not an image")
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


def test_files_in_the_source_folder_are_kept_up_to_date(server: RunningServer):
    """Thumbnails follow a file that is created, replaced and deleted in the folder, without a request."""
    path, made = server.sources / "hand.png", server.thumbnails / "hand.png" / "small.webp"
    path.write_bytes(picture("#111111"))
    _wait_until(made.exists)
    before = made.read_bytes()
    path.write_bytes(picture("#eeeeee"))
    _wait_until(lambda: made.exists() and made.read_bytes() != before)
    path.unlink()
    _wait_until(lambda: not made.parent.exists())


def _wait_until(condition) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_client_can_wait_for_an_image(tmp_path: Path):
    """While thumbnails are made the answer is 202 with Retry-After; with ?wait= it is the manifest."""
    with run_server(tmp_path, jobs=1) as server:
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
def test_an_invalid_wait_is_refused(server: RunningServer, wait: str):
    """A wait that is not a number of seconds gets 400, also for a missing image."""
    assert server.image("none.png", f"?wait={wait}").status_code == 400


def test_a_list_contains_every_image_once_in_order(server: RunningServer):
    """Pages of any size make up the whole list, and a prefix filters it."""
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


def test_images_are_found_anywhere_in_their_names_and_sorted(server: RunningServer):
    """`q` ignores case and the Unicode form; every order has pages without gaps; `total` counts them."""
    names = ("One.png", "two-ONE.png", "E\u0301one.png", "other.png", "x/one/y.png")
    for number, name in enumerate(names):
        path = server.sources / "find" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(size=(20 + 10 * number, 20)))
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))

    def found(**query: str) -> list[str]:
        keys, cursor = [], {}
        while True:
            answer = server.client.get("/images", params={"prefix": "find/", "limit": 2, **query, **cursor}).json()
            keys += [each["key"].removeprefix("find/") for each in answer["images"]]
            if "cursor" not in answer:
                return keys
            cursor = {"cursor": answer["cursor"]}

    assert set(found(q="oNe")) == {names[0], names[1], names[2], names[4]}
    assert found(q="\u00c9") == [names[2]]
    assert found(sort="newest") == list(reversed(names))
    assert found(sort="name") == sorted(names)
    sizes = {name: (server.sources / "find" / name).stat().st_size for name in names}
    assert found(sort="largest") == sorted(names, key=lambda name: (-sizes[name], name))
    page = server.client.get("/images", params={"prefix": "find/", "q": "one", "total": "true", "limit": 1}).json()
    assert page["total"] == 4
    assert page["images"][0]["modified"] == 1_700_000_002


def test_the_markup_is_that_of_the_command(server: RunningServer):
    """The element has every format below the given base, and no background for a transparent image."""
    key = server.upload("markup/é.png", picture(kind="png"))
    text = server.client.get(f"/html/{quote(key)}", params={"base": "https://img.example", "alt": 'A "b"'}).text
    assert text.startswith("<picture>")
    assert 'src="https://img.example/markup/%C3%A9.png/small.jpg?v=' in text
    assert 'alt="A &quot;b&quot;"' in text
    assert "background-color: #" in text
    assert 'srcset="/renditions/markup/' in server.client.get(f"/html/{quote(key)}?variant=icon").text
    file = BytesIO()
    Image.new("RGBA", (60, 40), "#ff000080").save(file, "PNG")
    clear = server.upload("markup/clear.png", file.getvalue())
    assert "background" not in server.client.get(f"/html/{clear}").text
    listed = server.client.get("/images?prefix=markup/clear").json()["images"][0]
    assert (listed["alpha"], "color" in listed) == (True, False)
    bad = server.upload("markup/bad.png", b"no image")
    statuses = [server.client.get(f"/html/{path}").status_code for path in (bad, "none.png", f"{clear}?variant=none")]
    assert statuses == [422, 404, 404]


@pytest.mark.parametrize(
    "query",
    [
        "sort=size",
        "total=maybe",
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=%C3%A9",
        "cursor=a",
        "cursor=WzFd",
        "cursor=WzEsICJhIl0",
        "status=nice",
    ],
)
def test_an_invalid_query_is_refused(server: RunningServer, query: str):
    """An invalid parameter gets 400 with a sentence that begins with its name."""
    answer = server.client.get(f"/images?{query}")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(query.partition("=")[0])


def test_an_unchanged_manifest_is_not_sent_again(server: RunningServer):
    """The etag of a manifest gives 304 until the image is replaced."""
    key = server.upload("known.png")
    etag = server.image(key).headers["etag"]
    again = server.client.get(f"/images/{key}", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    server.upload(key, picture("#00ff00"), replace=True)
    server.wait_for_status(key, 200)
    assert server.client.get(f"/images/{key}", headers={"If-None-Match": etag}).status_code == 200
