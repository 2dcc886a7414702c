"""`thumbsmith explain`: the state of one key, with reasons."""

import os

import pytest

from tests.cli.command import Command
from tests.pictures import picture
from thumbsmith import Recipe, converge, open_store
from thumbsmith.recipe import Limits

NAMES = ["icon.webp", "small.webp", "large.webp"]


def _explained(thumbsmith: Command, key: str, *options: str) -> dict:
    before = thumbsmith.thumbs()
    (event,) = thumbsmith("explain", "photos", key, "thumbs", "--json", *options).events
    assert thumbsmith.thumbs() == before
    assert (event.pop("event"), event.pop("key")) == ("explain", key)
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
    (thumbsmith.folder / "photos/a.txt").write_bytes(b"no picture at all")
    _made(thumbsmith, "a.txt")
    found = _explained(thumbsmith, "a.txt")
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
    (thumbsmith.folder / "photos/a.txt").write_bytes(b"no picture at all")
    _made(thumbsmith, "a.txt")
    assert "rejected   unsupported_format; tried again when" in thumbsmith("explain", "photos", "a.txt", "thumbs").out
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
