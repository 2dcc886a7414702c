"""`thumbsmith explain`: the state of one key, with reasons."""

import os

import pytest

from tests.cli.command import Command
from tests.pictures import picture
from thumbsmith import Recipe, StoreError, converge, open_store
from thumbsmith.cli.keys import has_object
from thumbsmith.recipe import Limits
from thumbsmith.store import Headers
from thumbsmith.store.folder import FolderStore

NAMES = ["icon.webp", "small.webp", "large.webp"]


def _explained(thumbsmith: Command, key: str, *options: str) -> dict:
    before = thumbsmith.thumbs()
    (event,) = thumbsmith("explain", "photos", "thumbs", key, "--json", *options).events
    assert thumbsmith.thumbs() == before
    assert (event.pop("event"), event.pop("key")) == ("explain", key)
    event.pop("nearest", None)
    return event


def _made(thumbsmith: Command, key: str, recipe: Recipe | None = None) -> None:
    converge(key, open_store("photos"), open_store("thumbs"), recipe or Recipe.default())


def test_what_was_never_made(thumbsmith: Command):
    """A new source is missing, with all renditions of the recipe, and the fingerprints of recipe and limits."""
    found = _explained(thumbsmith, "a.jpg")
    assert (found["state"], found["why"]) == ("missing", "there is no manifest")
    assert found["wanted"] == [{"key": f"a.jpg/{name}", "state": "missing"} for name in NAMES]
    assert found["source"]["bytes"] == (thumbsmith.folder / "photos" / "a.jpg").stat().st_size
    assert (found["recipe"], found["limits"]) == (Recipe.default().fingerprint, Limits().fingerprint)
    assert "recorded" not in found


def test_what_is_right(thumbsmith: Command):
    """A source with all its thumbnails is fresh, and nothing is left over."""
    _made(thumbsmith, "sub/c.jpg")
    found = _explained(thumbsmith, "sub/c.jpg")
    assert found["state"] == "fresh"
    assert found["wanted"] == [{"key": f"sub/c.jpg/{name}", "state": "right"} for name in NAMES]
    assert found["left"] == []
    assert found["recorded"]["etag"] == found["source"]["etag"]
    assert found["recorded"]["recipe"] == found["recipe"]


def test_what_is_stale_and_why(thumbsmith: Command):
    """An altered and a deleted rendition are named, and the ones that are unchanged."""
    _made(thumbsmith, "a.jpg")
    (thumbsmith.folder / "thumbs/a.jpg/small.webp").write_bytes(b"altered")
    (thumbsmith.folder / "thumbs/a.jpg/large.webp").unlink()
    found = _explained(thumbsmith, "a.jpg")
    assert (found["state"], found["why"]) == ("stale", "missing or altered: large.webp, small.webp")
    assert [each["state"] for each in found["wanted"]] == ["right", "stale", "missing"]


def test_another_recipe(thumbsmith: Command):
    """With another recipe, its variants are missing, and the old ones are left over."""
    _made(thumbsmith, "a.jpg")
    (thumbsmith.folder / "thumbsmith.toml").write_text("[variants.tiny]\nwidth = 8\nformats = ['source', 'avif']\n")
    found = _explained(thumbsmith, "a.jpg")
    assert (found["state"], found["why"]) == ("stale", "the recipe changed: tiny.avif, tiny.jpg")
    assert [each["key"] for each in found["wanted"]] == ["a.jpg/tiny.jpg", "a.jpg/tiny.avif"]
    assert found["left"] == [f"a.jpg/{name}" for name in sorted(NAMES)]
    assert found["recorded"]["recipe"] != found["recipe"]


def test_a_format_that_is_not_known_yet(thumbsmith: Command):
    """Before a source is read, a rendition in the format of the source has the extension *."""
    (thumbsmith.folder / "thumbsmith.toml").write_text("[variants.tiny]\nwidth = 8\nformats = ['source', 'avif']\n")
    assert [each["key"] for each in _explained(thumbsmith, "a.jpg")["wanted"]] == ["a.jpg/tiny.*", "a.jpg/tiny.avif"]


def test_what_was_replaced(thumbsmith: Command):
    """A replaced source is stale, with the recorded etag, and all its renditions are outdated."""
    _made(thumbsmith, "a.jpg")
    (thumbsmith.folder / "photos/a.jpg").write_bytes(picture("#ff0000", (9, 9)))
    found = _explained(thumbsmith, "a.jpg")
    assert (found["state"], found["why"]) == ("stale", "the source was replaced")
    assert {each["state"] for each in found["wanted"]} == {"stale"}
    assert found["recorded"]["etag"] != found["source"]["etag"]


def test_what_is_rejected(thumbsmith: Command):
    """A rejected source has a code, a detail and the time of the next try, and no renditions."""
    (thumbsmith.folder / "photos/a.gif").write_bytes(b"no picture at all")
    _made(thumbsmith, "a.gif")
    found = _explained(thumbsmith, "a.gif")
    assert found["state"] == "rejected"
    assert found["rejection"]["code"] == "unsupported_format"
    assert found["rejection"]["detail"] == found["why"]
    assert "--retry-rejected" in found["rejection"]["retried"]
    assert found["wanted"] == []


def test_a_key_that_is_too_long(thumbsmith: Command):
    """A key that is too long for the destination is rejected without a read."""
    found = _explained(thumbsmith, "x" * 1024)
    assert (found["state"], found["rejection"]["code"]) == ("rejected", "key_too_long")


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("nowhere.jpg", "there is no such object in the source"),
        ("sub", "there is no such object in the source"),
        ("sub/", "a key that ends in / marks a folder"),
        ("", "the empty key is no source"),
        ("sub/.hidden.jpg", "a name in it begins with a dot"),
        ("b.jpg", 'exclude has "b.*"'),
        ("notes.txt", "no glob of include matches it"),
    ],
)
def test_a_key_that_is_no_source(key: str, why: str, thumbsmith: Command):
    """For a key that is no source, the reason is given."""
    recipe = '[source]\ninclude = ["**/*.jpg", "sub", "b.*"]\nexclude = ["c.*", "b.*"]\n'
    (thumbsmith.folder / "thumbsmith.toml").write_text(recipe)
    found = _explained(thumbsmith, key)
    assert (found["state"], found["why"]) == ("none", why)
    assert "source" not in found


def test_what_is_left_of_a_source_that_is_gone(thumbsmith: Command):
    """For a deleted source, all objects of ours that are left are named, with the manifest."""
    _made(thumbsmith, "a.jpg")
    (thumbsmith.folder / "photos/a.jpg").unlink()
    (thumbsmith.folder / "thumbs/a.jpg/mine.txt").write_text("foreign")
    found = _explained(thumbsmith, "a.jpg")
    assert sorted(found["left"]) == [f"a.jpg/{name}" for name in sorted([*NAMES, "manifest.json"])]


def test_people_read_the_same(thumbsmith: Command):
    """Without --json each fact is a line, and characters for terminals are escaped."""
    _made(thumbsmith, "a.jpg")
    (thumbsmith.folder / "thumbs/a.jpg/large.webp").unlink()
    lines = thumbsmith("explain", "photos", "a.jpg", "thumbs").out.splitlines()
    assert lines[0].split() == ["key", "a.jpg"]
    assert "state      stale: missing or altered: large.webp" in lines
    assert "right      a.jpg/icon.webp" in lines
    assert "missing    a.jpg/large.webp" in lines
    (thumbsmith.folder / "photos/a.gif").write_bytes(b"no picture at all")
    _made(thumbsmith, "a.gif")
    assert "rejected   unsupported_format; tried again when" in thumbsmith("explain", "photos", "a.gif", "thumbs").out
    (thumbsmith.folder / "photos/a.jpg").unlink()
    gone = thumbsmith("explain", "photos", "a.jpg", "thumbs").out
    assert "left       a.jpg/manifest.json" in gone
    assert "recorded   etag " in gone
    assert "\x1b" not in thumbsmith("explain", "photos", "\x1b[2J", "thumbs").out


def test_a_missing_source_is_told(thumbsmith: Command):
    """A missing source store gives exit code 2 and one sentence."""
    ran = thumbsmith("explain", "nowhere", "a.jpg", "thumbs")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.endswith("nowhere: No such file or directory\n")


def test_a_pipe_is_no_source(thumbsmith: Command):
    """A path that is not a regular file is named as such."""
    os.mkfifo(thumbsmith.folder / "photos/pipe.jpg")
    found = _explained(thumbsmith, "pipe.jpg")
    assert (found["state"], "only regular files are sources" in found["why"]) == ("none", True)


@pytest.mark.parametrize("made", [False, True], ids=["before the first sync", "with thumbnails"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["photos", "thumbs", "sub/c.jpg"],
        ["photos", "sub/c.jpg", "thumbs"],
        ["photos", "thumbs", "photos/sub/c.jpg"],
        ["photos", "./photos/sub/c.jpg", "thumbs"],
        ["./photos/", "./thumbs/", "ABSOLUTE/photos/sub/c.jpg"],
        ["ABSOLUTE/photos", "ABSOLUTE/thumbs", "sub/c.jpg"],
    ],
)
def test_the_key_may_be_a_path_in_any_place(thumbsmith: Command, arguments: list[str], made: bool):
    """SRC DST KEY and SRC KEY DST, with a key or a path below SRC, mean the same."""
    if made:
        _made(thumbsmith, "sub/c.jpg")
    ran = thumbsmith("explain", *(each.replace("ABSOLUTE", str(thumbsmith.folder)) for each in arguments), "--json")
    (event,) = ran.events
    assert (ran.code, event["key"], event["state"]) == (0, "sub/c.jpg", "fresh" if made else "missing")


@pytest.mark.parametrize(
    ("place", "arguments"),
    [
        ("photos", [".", "../thumbs", "./sub/c.jpg"]),
        ("photos", [".", "./sub/c.jpg", "../thumbs"]),
        ("photos", [".", "../thumbs", "sub//c.jpg"]),
        ("photos/sub", ["..", "../../thumbs", "./c.jpg"]),
        ("photos/sub", ["..", "../../thumbs", "c.jpg"]),
        (".", ["photos", "thumbs", "sub/../sub/c.jpg"]),
        (".", ["photos", "thumbs", "photos/../photos/sub/c.jpg"]),
        (".", ["photos", "thumbs", "photos/sub/./c.jpg"]),
    ],
)
def test_a_path_may_have_dots(thumbsmith: Command, place: str, arguments: list[str]):
    """A path below SRC, from any working folder and with . and .. in it, is the key."""
    thumbsmith.patch.chdir(thumbsmith.folder / place)
    ran = thumbsmith("explain", *arguments, "--json")
    assert (ran.code, ran.events[0]["key"], ran.events[0]["state"]) == (0, "sub/c.jpg", "missing")


def test_swapped_stores_are_named(thumbsmith: Command):
    """If SRC has no such object but DST has, the message says that they are probably swapped."""
    _made(thumbsmith, "a.jpg")
    ran = thumbsmith("explain", "thumbs", "photos", "sub/c.jpg")
    assert (ran.code, ran.err) == (1, "photos has this object: SRC and DST are probably swapped\n")


def test_a_file_in_a_folder_of_the_same_name_keeps_its_key(thumbsmith: Command):
    """Where photos/photos/a.jpg exists, photos/a.jpg is its key."""
    (thumbsmith.folder / "photos/photos").mkdir()
    (thumbsmith.folder / "photos/photos/a.jpg").write_bytes(picture())
    assert thumbsmith("explain", "photos", "thumbs", "photos/a.jpg", "--json").events[0]["key"] == "photos/a.jpg"


@pytest.mark.parametrize(
    ("key", "similar"), [("a.jpgs", "a.jpg"), ("sub/d.jpg", "sub/c.jpg"), ("c.jpg", "sub/c.jpg"), ("zebra", None)]
)
def test_an_unknown_key_is_an_error_with_the_nearest_one(thumbsmith: Command, key: str, similar: str | None):
    """A key without an object and without thumbnails gives exit code 1, and the key that is most like it."""
    ran = thumbsmith("explain", "photos", "thumbs", key)
    assert ran.code == 1
    assert ran.err == (f"did you mean {similar}?\n" if similar else "")
    ran = thumbsmith("explain", "photos", "thumbs", key, "--json")
    assert (ran.code, ran.events[0]["state"], ran.events[0].get("nearest")) == (1, "none", similar)


def test_a_key_that_is_known_is_no_error(thumbsmith: Command):
    """An excluded image, and a deleted one with thumbnails, give exit code 0."""
    (thumbsmith.folder / "thumbsmith.toml").write_text('[source]\nexclude = ["b*"]')
    assert thumbsmith("explain", "photos", "thumbs", "b.jpg").code == 0
    _made(thumbsmith, "a.jpg")
    (thumbsmith.folder / "photos/a.jpg").unlink()
    assert thumbsmith("explain", "photos", "thumbs", "./photos/a.jpg").code == 0


@pytest.mark.parametrize("key", ["a/b.jpg", "memory://images/a/b.jpg"])
def test_a_key_may_be_an_address_below_the_source(thumbsmith: Command, key: str):
    """In a store with an address, the address of the object works as its key, before and after DST."""
    open_store("memory://images").put("a/b.jpg", picture(), Headers(content_type="image/jpeg"))
    for arguments in ([key, "memory://thumbs"], ["memory://thumbs", key]):
        ran = thumbsmith("explain", "memory://images", *arguments, "--json")
        assert (ran.code, ran.events[0]["key"], ran.events[0]["state"]) == (0, "a/b.jpg", "missing")


def test_a_source_that_cannot_be_read_is_known(thumbsmith: Command, monkeypatch: pytest.MonkeyPatch):
    """An object that exists and cannot be read is a key; a store that fails is an error."""

    def refuse(one_object: bool) -> None:
        def head(_: FolderStore, key: str) -> None:
            raise StoreError(f"{key}: Permission denied", transient=True, one_object=one_object)

        monkeypatch.setattr(FolderStore, "head", head)

    refuse(one_object=True)
    assert has_object(open_store("photos"), "a.jpg")
    refuse(one_object=False)
    with pytest.raises(StoreError):
        has_object(open_store("photos"), "a.jpg")
