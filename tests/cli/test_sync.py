"""`thumbsmith sync` and `plan` over folders."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.command import Command
from tests.pictures import picture
from thumbsmith import sync
from thumbsmith.worker import usable_cores

PHOTO = {"icon.webp", "small.webp", "large.webp", "manifest.json"}
FIRST = {"sources": 3, "made": 3, "fresh": 0, "rejected": 0, "failed": 0, "ignored": 0, "renditions": 9, "deleted": 0}
AGAIN = FIRST | {"made": 0, "fresh": 3, "renditions": 0}
PLAN = {"sources": 3, "missing": 0, "stale": 0, "fresh": 3, "rejected": 0, "orphaned": 0, "foreign": 0, "ignored": 0}


def _synced(thumbsmith: Command) -> Command:
    assert thumbsmith("sync", "photos", "thumbs").code == 0
    return thumbsmith


def _written(thumbsmith: Command) -> dict[str, tuple[int, int]]:
    """Return the identity and the modification time of each thumbnail."""
    found = {name: (thumbsmith.folder / "thumbs" / name).stat() for name in thumbsmith.thumbs()}
    return {name: (status.st_ino, status.st_mtime_ns) for name, status in found.items()}


def test_sync_makes_what_is_missing_and_then_nothing(thumbsmith: Command):
    """The first sync makes all thumbnails and manifests, the second writes nothing."""
    ran = thumbsmith("sync", "photos", "thumbs", "--json")
    assert (ran.code, ran.summary) == (0, FIRST)
    assert {event["outcome"] for event in ran.events[:-1]} == {"made"}
    assert thumbsmith.thumbs() == {f"{photo}/{name}" for photo in ("a.jpg", "b.jpg", "sub/c.jpg") for name in PHOTO}
    before = _written(thumbsmith)
    ran = thumbsmith("sync", "photos", "thumbs", "--json")
    assert (ran.code, ran.summary) == (0, AGAIN)
    assert _written(thumbsmith) == before


def test_one_line_a_source(thumbsmith: Command):
    """With --json each source has one line with key, outcome, renditions, and a code if it is rejected."""
    (thumbsmith.folder / "photos" / "note.gif").write_text("no image")
    events = {event["key"]: event for event in thumbsmith("sync", "photos", "thumbs", "--json").events[:-1]}
    assert events.keys() == {"a.jpg", "b.jpg", "sub/c.jpg", "note.gif"}
    assert events["a.jpg"] == {"event": "source", "key": "a.jpg", "outcome": "made", "renditions": 3, "deleted": 0}
    assert (events["note.gif"]["outcome"], events["note.gif"]["code"]) == ("rejected", "unsupported_format")


def test_replacing_deleting_and_adding(thumbsmith: Command):
    """A replaced source gets new thumbnails, those of a deleted one are deleted, and nothing else changes."""
    _synced(thumbsmith)
    (thumbsmith.folder / "photos" / "a.jpg").write_bytes(picture("#ffffff"))
    (thumbsmith.folder / "photos" / "b.jpg").unlink()
    (thumbsmith.folder / "photos" / "d.png").write_bytes(picture(kind="png"))
    plan = thumbsmith("plan", "photos", "thumbs", "--json")
    assert plan.summary == PLAN | {"missing": 1, "stale": 1, "fresh": 1, "orphaned": 4}
    ran = thumbsmith("sync", "photos", "thumbs", "--json")
    assert ran.summary == FIRST | {"made": 2, "fresh": 1, "renditions": 6, "deleted": 4}
    assert {key.rpartition("/")[0] for key in thumbsmith.thumbs()} == {"a.jpg", "sub/c.jpg", "d.png"}
    assert thumbsmith("plan", "photos", "thumbs", "--json").summary == PLAN


def test_sync_for_people(thumbsmith: Command):
    """Without --json there is one summary; a rejection is printed once, when it is recorded."""
    (thumbsmith.folder / "photos" / "bad\x1b[2J.gif").write_text("no image")
    ran = thumbsmith("sync", "photos", "thumbs")
    assert "4 sources: 3 made, 0 fresh, 1 rejected (1 unsupported_format); 9 thumbnails written; " in ran.out
    assert "rejected bad\\x1b[2J.gif: unsupported_format, " in ran.err
    ran = thumbsmith("sync", "photos", "thumbs")
    assert "4 sources: 0 made, 3 fresh, 1 rejected" in ran.out
    assert ran.err == ""


def test_plan_for_people(thumbsmith: Command):
    """Without --json, keys with work are listed by kind with reasons, with a summary and an estimate."""
    _synced(thumbsmith)
    (thumbsmith.folder / "photos" / "b.jpg").unlink()
    (thumbsmith.folder / "thumbs" / "a.jpg" / "icon.webp").unlink()
    (thumbsmith.folder / "thumbs" / "mine.txt").touch()
    size = (thumbsmith.folder / "photos" / "a.jpg").stat().st_size
    orphaned = sum(path.stat().st_size for path in (thumbsmith.folder / "thumbs" / "b.jpg").iterdir())
    assert thumbsmith("plan", "photos", "thumbs").out.splitlines() == [
        "stale: 1",
        "  ~ a.jpg: missing or altered: icon.webp",
        "orphaned: 4",
        "  - b.jpg/icon.webp",
        "  - b.jpg/large.webp",
        "  - b.jpg/manifest.json",
        "  - b.jpg/small.webp",
        "foreign: 1",
        "  ? mine.txt",
        "2 sources: 0 missing, 1 stale, 1 fresh; objects: 4 orphaned, 1 foreign",
        f"to do: make thumbnails of 1 image ({size} bytes), delete 4 objects ({orphaned / 1000:.1f} kB);"
        f" less than 1 s with --jobs {usable_cores()}",
    ]


def test_plan_shows_samples_or_all(thumbsmith: Command):
    """People see ten keys of each kind and the number of others; with --all they see each."""
    for number in range(12):
        (thumbsmith.folder / "photos" / f"n{number:02}.jpg").write_bytes(b"")
    ran = thumbsmith("plan", "photos", "thumbs")
    assert [line for line in ran.out.splitlines() if line.startswith(("missing", "  "))] == [
        "missing: 15",
        *(
            f"  + {key}: there is no manifest"
            for key in ["a.jpg", "b.jpg", *(f"n{number:02}.jpg" for number in range(8))]
        ),
        "    ... and 5 more (--all)",
    ]
    shown = thumbsmith("plan", "photos", "thumbs", "--all").out
    assert shown.count("missing   ") == 15
    assert "--all" not in shown


def test_what_is_to_be_done_is_estimated(thumbsmith: Command):
    """The summary of a plan has the bytes to read and to delete, and the estimated time."""
    size = sum(path.stat().st_size for path in (thumbsmith.folder / "photos").rglob("*.jpg"))
    estimate = thumbsmith("plan", "photos", "thumbs", "--json").events[-1]["estimate"]
    assert estimate.pop("seconds") > 0
    assert estimate == {"bytes_to_read": size, "bytes_to_delete": 0}
    _synced(thumbsmith)
    estimate = thumbsmith("plan", "photos", "thumbs", "--json").events[-1]["estimate"]
    assert estimate == {"bytes_to_read": 0, "bytes_to_delete": 0, "seconds": 0}


def test_a_prefix(thumbsmith: Command):
    """With --prefix only sources below it are planned and made, and nothing else is deleted."""
    _synced(thumbsmith)
    for name in ("a.jpg", "b.jpg"):
        (thumbsmith.folder / "photos" / name).unlink()
    (thumbsmith.folder / "photos" / "sub" / "d.jpg").write_bytes(picture())
    plan = thumbsmith("plan", "photos", "thumbs", "--prefix", "sub/", "--json")
    assert plan.summary == PLAN | {"sources": 2, "missing": 1, "fresh": 1}
    ran = thumbsmith("sync", "photos", "thumbs", "--prefix", "sub/", "--json")
    assert ran.summary == FIRST | {"sources": 2, "made": 1, "fresh": 1, "renditions": 3}
    assert {key.rpartition("/")[0] for key in thumbsmith.thumbs()} == {"a.jpg", "b.jpg", "sub/c.jpg", "sub/d.jpg"}


def test_the_index_is_a_cache(thumbsmith: Command, caches: Path):
    """Between runs only the cache folder has data; its deletion or damage changes no result."""
    _synced(thumbsmith)
    (thumbsmith.folder / "photos" / "a.jpg").write_bytes(picture("#ffffff"))
    first = thumbsmith("plan", "photos", "thumbs", "--json")
    (index,) = (caches / "thumbsmith").iterdir()
    assert thumbsmith("plan", "photos", "thumbs", "--json").out == first.out
    index.write_bytes(b"no database" * 1000)
    assert thumbsmith("plan", "photos", "thumbs", "--json").out == first.out
    index.unlink()
    assert thumbsmith("plan", "photos", "thumbs", "--json").out == first.out


def test_a_dry_run_is_a_plan(thumbsmith: Command):
    """--dry-run prints what plan prints and changes nothing."""
    ran = thumbsmith("sync", "photos", "thumbs", "--dry-run", "--json")
    assert (ran.code, ran.summary) == (0, PLAN | {"missing": 3, "fresh": 0})
    assert not (thumbsmith.folder / "thumbs").exists()


def test_changing_the_recipe(thumbsmith: Command):
    """A changed variant is made again, a removed one is deleted, and excluded sources become orphans."""
    recipe = thumbsmith.folder / "thumbsmith.toml"
    recipe.write_text("[variants.a]\nwidth = 8\n[variants.b]\nwidth = 9")
    assert thumbsmith("sync", "photos", "thumbs", "--json").summary["renditions"] == 6
    recipe.write_text("[variants.a]\nwidth = 8\n[variants.b]\nwidth = 10")
    assert thumbsmith("sync", "photos", "thumbs", "--json").summary["renditions"] == 3
    recipe.write_text("[variants.a]\nwidth = 8")
    assert thumbsmith("sync", "photos", "thumbs", "--json").summary == FIRST | {"renditions": 0, "deleted": 3}
    recipe.write_text("[variants.a]\nwidth = 8\n[source]\nexclude = ['sub/**']")
    ran = thumbsmith("sync", "photos", "thumbs", "--json")
    assert ran.summary == AGAIN | {"sources": 2, "fresh": 2, "deleted": 2}
    assert thumbsmith.thumbs() == {
        f"{photo}/{name}" for photo in ("a.jpg", "b.jpg") for name in ("a.webp", "manifest.json")
    }


def test_an_empty_source_wipes_nothing(thumbsmith: Command):
    """Deletion of more than half of all thumbnails is refused, exit code 2, without --yes or --keep-orphans."""
    _synced(thumbsmith)
    before = thumbsmith.thumbs()
    (thumbsmith.folder / "empty").mkdir()
    ran = thumbsmith("sync", "empty", "thumbs")
    assert ran.code == 2
    assert "9 of 9 thumbnails belong to sources that no longer exist" in ran.err
    assert thumbsmith.thumbs() == before
    assert thumbsmith("sync", "empty", "thumbs", "--keep-orphans").code == 0
    assert thumbsmith.thumbs() == before
    ran = thumbsmith("sync", "empty", "thumbs", "--yes", "--json")
    assert (ran.code, ran.summary["deleted"]) == (0, 12)
    assert thumbsmith.thumbs() == set()


def test_retry_rejected(thumbsmith: Command):
    """A recorded rejection is tried again only with --retry-rejected."""
    (thumbsmith.folder / "photos" / "note.gif").write_text("no image")
    _synced(thumbsmith)
    assert "rejected note.gif" not in thumbsmith("sync", "photos", "thumbs").err
    assert "rejected note.gif" in thumbsmith("sync", "photos", "thumbs", "--retry-rejected").err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sync", "none", "thumbs"], "none: No such file or directory"),
        (["plan", "none", "thumbs"], "none: No such file or directory"),
        (["sync", "photos/a.jpg", "thumbs"], "photos/a.jpg: Not a directory"),
        (["sync", "photos", "photos/thumbs"], "overlap"),
        (["sync", "photos/sub", "photos"], "overlap"),
        (["sync", "photos", "link"], "overlap"),
        (["sync", "photos", "file"], "file: Not a directory"),
        (["sync", "photos", "thumbs", "--recipe", "none.toml"], "none.toml: expected a readable file"),
        (["sync", "photos", "thumbs", "--recipe", "bad.toml"], "bad.toml: [variants.a] width: expected a whole number"),
        (["sync", "gopher://photos", "thumbs"], "gopher"),
        (["sync", "photos", "thumbs", "--jobs", "0"], "--jobs"),
        (["sync", "photos"], "DST is missing"),
        (["sink"], '"sink" is not a command'),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(thumbsmith: Command, arguments: list[str], sentence: str):
    """Impossible requests give exit code 2 and one sentence, and nothing is written."""
    (thumbsmith.folder / "bad.toml").write_text("[variants.a]\nwidth = 0")
    (thumbsmith.folder / "file").touch()
    (thumbsmith.folder / "link").symlink_to("photos/sub")
    ran = thumbsmith(*arguments)
    assert ran.code == 2
    assert sentence in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""
    assert not (thumbsmith.folder / "thumbs").exists()


def test_where_the_recipe_comes_from(thumbsmith: Command):
    """--recipe wins over THUMBSMITH_RECIPE, a path or TOML, which wins over ./thumbsmith.toml."""

    def made(*arguments: str) -> str:
        ran = thumbsmith("make", "photos/a.jpg", "-o", "out", *arguments)
        assert ran.code == 0, ran.err
        return ran.out.split("a.jpg.")[1].split(".")[0]

    for name in ("option", "variable", "here"):
        (thumbsmith.folder / f"{name}.toml").write_text(f"[variants.{name}]\nwidth = 5")
    assert made() == "icon"
    (thumbsmith.folder / "here.toml").rename("thumbsmith.toml")
    assert made() == "here"
    thumbsmith.patch.setenv("THUMBSMITH_RECIPE", "variable.toml")
    assert made() == "variable"
    thumbsmith.patch.setenv("THUMBSMITH_RECIPE", "[variants.toml]\nwidth = 5")
    assert made() == "toml"
    assert made("--recipe", "option.toml") == "option"
    thumbsmith.patch.setenv("THUMBSMITH_RECIPE", "[variants.toml]\nwidth = 0")
    assert "THUMBSMITH_RECIPE: [variants.toml] width" in thumbsmith("make", "photos/a.jpg").err


def test_a_name_that_is_not_utf8_is_told(thumbsmith: Command):
    """A file whose name is not UTF-8 is rejected as unsupported_key in valid JSON; the rest is made."""
    try:
        (thumbsmith.folder / "photos" / os.fsdecode(b"\xff.jpg")).write_bytes(picture())
    except OSError:
        pytest.skip("this file system holds no such names")
    ran = thumbsmith("sync", "photos", "thumbs", "--json")
    assert (ran.code, ran.summary["rejected"], ran.summary["made"]) == (0, 1, 3)
    (rejected,) = [event for event in ran.events[:-1] if event["outcome"] == "rejected"]
    assert (rejected["key"], rejected["code"]) == ("\udcff.jpg", "unsupported_key")


def test_clocks_do_not_matter(thumbsmith: Command):
    """Files of 1970 or of the future become fresh; a change with the same time and size is noticed."""
    photos = [thumbsmith.folder / "photos" / name for name in ("a.jpg", "b.jpg")]
    for photo, stamp in zip(photos, (0, 4_000_000_000), strict=True):
        os.utime(photo, (stamp, stamp))
    _synced(thumbsmith)
    assert thumbsmith("sync", "photos", "thumbs", "--json").summary == AGAIN
    other = picture("#ffffff")
    photos[0].write_bytes(other + bytes(photos[0].stat().st_size - len(other)))
    os.utime(photos[0], (0, 0))
    ran = thumbsmith("sync", "photos", "thumbs", "--json")
    assert (ran.summary["made"], ran.summary["fresh"]) == (1, 2)


def test_manifests_hold_the_logical_key(thumbsmith: Command):
    """A manifest has the key of the source, also if the file has another name in the destination."""
    (thumbsmith.folder / "photos" / "small.webp").write_bytes(picture(kind="webp"))
    _synced(thumbsmith)
    manifests = (thumbsmith.folder / "thumbs").rglob("manifest.json")
    keys = {json.loads(path.read_bytes())["source"]["key"] for path in manifests}
    assert keys == {"a.jpg", "b.jpg", "sub/c.jpg", "small.webp"}


def test_a_mixed_folder(thumbsmith: Command):
    """Videos, sidecars, texts, databases and archives are counted as ignored, and no file is rejected."""
    for name in ("m.MP4", "a.xmp", "notes.txt", "sub/x.db", "b.jpg.zip", "sub/c.html", ".hidden.txt"):
        (thumbsmith.folder / "photos" / name).write_bytes(b"no picture")
    assert thumbsmith("plan", "photos", "thumbs", "--json").summary["ignored"] == 6
    assert thumbsmith("sync", "photos", "thumbs", "--json").summary == FIRST | {"ignored": 6}
    assert "; 6 other files ignored; " in thumbsmith("sync", "photos", "thumbs").out
    assert thumbsmith("plan", "photos", "thumbs").out.startswith(
        "3 sources: 0 missing, 0 stale, 3 fresh; 6 other files"
    )
    explained = thumbsmith("explain", "photos", "thumbs", "notes.txt")
    assert 'a text file by its suffix, and ignored unless include has a glob like "**/*.txt"' in explained.out


def test_old_records_of_ignored_files_are_removed(thumbsmith: Command):
    """A file that was recorded as rejected, and is ignored now, is an orphan, or tried if include names its suffix."""
    (thumbsmith.folder / "photos" / "note.txt").write_text("no picture")
    tried = ("--include", "**", "--include", "*.txt")
    assert thumbsmith("sync", "photos", "thumbs", "--json", *tried).summary == FIRST | {"sources": 4, "rejected": 1}
    assert (thumbsmith.folder / "thumbs" / "note.txt" / "manifest.json").exists()
    assert thumbsmith("plan", "photos", "thumbs", "--json").summary == PLAN | {"orphaned": 1, "ignored": 1}
    assert thumbsmith("sync", "photos", "thumbs", "--json").summary == AGAIN | {"deleted": 1, "ignored": 1}
    assert not (thumbsmith.folder / "thumbs" / "note.txt").exists()


def test_old_records_of_ignored_files_are_kept_with_keep_orphans(thumbsmith: Command):
    """With --keep-orphans they stay, like those of deleted sources, and are still counted as orphaned."""
    (thumbsmith.folder / "photos" / "note.txt").write_text("no picture")
    thumbsmith("sync", "photos", "thumbs", "--include", "**", "--include", "*.txt")
    kept = thumbsmith("sync", "photos", "thumbs", "--keep-orphans", "--json").summary
    assert kept == AGAIN | {"ignored": 1}
    assert (thumbsmith.folder / "thumbs" / "note.txt" / "manifest.json").exists()
    assert thumbsmith("plan", "photos", "thumbs", "--json").summary == PLAN | {"orphaned": 1, "ignored": 1}
    assert thumbsmith("sync", "photos", "thumbs", "--json").summary == AGAIN | {"deleted": 1, "ignored": 1}


def test_python_counts_ignored_files_too(thumbsmith: Command):
    """`thumbsmith.sync` returns the same count."""
    (thumbsmith.folder / "photos" / "clip.mov").write_bytes(b"video")
    counts = sync(thumbsmith.folder / "photos", thumbsmith.folder / "thumbs", jobs=1)
    assert (counts.sources["made"], counts.sources["rejected"], counts.ignored) == (3, 0, 1)


def test_a_folder_with_other_files_only(thumbsmith: Command):
    """People learn why such a folder has no thumbnails."""
    (thumbsmith.folder / "videos").mkdir()
    (thumbsmith.folder / "videos" / "a.mp4").write_bytes(b"video")
    assert "only files that are no pictures" in thumbsmith("sync", "videos", "thumbs").err
