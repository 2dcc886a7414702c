"""`thumbsmith sync` and `plan` with buckets as source and destination."""

import os

import pytest

from tests.cli.command import Command
from tests.pictures import picture
from tests.servers.fixtures import needs_servers
from tests.store.contract import HEADERS, content_of
from thumbsmith.store import Store, open_store

pytestmark = needs_servers

PHOTOS = ("a.jpg", "b.jpg", "sub/c.jpg")
NAMES = ("icon.webp", "large.webp", "manifest.json", "small.webp")


def _contents(store: Store) -> dict[str, bytes]:
    """Return all objects except manifests, which contain etags of the store."""
    return {info.key: content_of(store, info.key) for info in store.list() if not info.key.endswith(".json")}


def _etags(store: Store) -> dict[str, str]:
    return {info.key: info.etag for info in store.list()}


def test_from_a_folder_to_a_bucket_to_a_bucket_to_a_folder(thumbsmith: Command, either_server: str) -> None:
    """The same sources give the same thumbnails in all kinds of stores."""
    for key in PHOTOS:
        open_store(f"{either_server}/copies").put(key, (thumbsmith.folder / "photos" / key).read_bytes(), HEADERS)
    ways = (
        ("photos", "thumbs"),
        ("photos", f"{either_server}/thumbs"),
        (f"{either_server}/copies", f"{either_server}/more"),
        (f"{either_server}/copies", "others"),
    )
    made = []
    for source, destination in ways:
        ran = thumbsmith("sync", source, destination, "--json")
        assert (ran.code, ran.summary["made"], ran.summary["renditions"]) == (0, 3, 9)
        store = open_store(destination).as_destination()
        assert set(_etags(store)) == {f"{key}/{name}" for key in PHOTOS for name in NAMES}
        made.append(_contents(store))
        before = _etags(store)
        ran = thumbsmith("sync", source, destination, "--json")
        assert (ran.code, ran.summary["fresh"], ran.summary["renditions"]) == (0, 3, 0)
        assert _etags(store) == before
    assert made[0] == made[1] == made[2] == made[3]


def test_a_bucket_is_repaired(thumbsmith: Command, either_server: str) -> None:
    """Altered, lost, orphaned and replaced objects in buckets are in the plan, and one sync repairs them."""
    source, destination = open_store(f"{either_server}/photos"), open_store(f"{either_server}/thumbs")
    for number in range(4):
        source.put(f"{number}+ é.jpg", picture(f"#0000{number:02x}"), HEADERS)
    source.put("broken.jpg", b"no image", HEADERS)
    arguments = (source.url, destination.url, "--json")
    assert thumbsmith("sync", *arguments).summary["rejected"] == 1
    right = _contents(destination)

    destination.put("0+ é.jpg/small.webp", b"altered", HEADERS)
    destination.delete("1+ é.jpg/icon.webp")
    source.delete("2+ é.jpg")
    source.put("3+ é.jpg", picture("#ffffff"), HEADERS)
    destination.put("notes.txt", b"not ours", HEADERS)
    plan = thumbsmith("plan", *arguments).summary
    assert (plan["stale"], plan["orphaned"], plan["foreign"], plan["rejected"]) == (3, 4, 1, 1)
    ran = thumbsmith("sync", *arguments)
    assert (ran.code, ran.summary["made"], ran.summary["deleted"], ran.summary["failed"]) == (0, 3, 4, 0)

    after = _contents(destination)
    assert after.keys() == {key for key in right if not key.startswith("2")} | {"notes.txt"}
    assert {key for key in right if key in after and after[key] != right[key]} == {
        f"3+ é.jpg/{size}.webp" for size in ("icon", "small", "large")
    }
    assert thumbsmith("plan", *arguments).summary["fresh"] == 3


@pytest.mark.parametrize(("source", "destination"), [("", "/thumbs"), ("/photos", "/photos/thumbs"), ("/x", "/x/")])
def test_stores_in_each_other_are_refused(thumbsmith: Command, ministack: str, source: str, destination: str) -> None:
    """Overlapping prefixes of source and destination are refused before anything is made."""
    ran = thumbsmith("sync", ministack + source, ministack + destination)
    assert ran.code == 2
    assert "overlap" in ran.err
    assert list(open_store(ministack).list()) == []


def test_a_bucket_that_is_not_there(thumbsmith: Command, ministack: str) -> None:
    """A missing bucket gives one sentence, as source and as destination, and nothing is deleted."""
    assert thumbsmith("sync", "photos", f"{ministack}/thumbs").code == 0
    before = _etags(open_store(ministack))
    for arguments in ((f"{ministack}-x/photos", f"{ministack}/thumbs"), ("photos", f"{ministack}-x/thumbs")):
        ran = thumbsmith("sync", *arguments, "--yes")
        assert ran.code != 0
        assert "there is no such bucket" in ran.err
        assert "Traceback" not in ran.err
    assert _etags(open_store(ministack)) == before
    assert os.environ["AWS_ENDPOINT_URL"] not in ran.err
