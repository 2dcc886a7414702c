"""`make` and `demo` never use an earlier output as an image, and report what they skip."""

from pathlib import Path

import pytest

from tests.cli.command import Command
from tests.pictures import picture

JPEG = "[variants.small]\nwidth = 8\nformats = ['jpeg']"
DENSE = "[variants.small]\nwidth = 8\nformats = ['jpeg', 'png']\ndpr = [1, 1.5, 2]"


def _files(folder: Path = Path("photos")) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _images(folder: str = "photos") -> list[Path]:
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.parametrize("recipe", [JPEG, DENSE, ""])
def test_repeated_runs_over_a_folder_add_nothing(thumbsmith: Command, recipe: str):
    """Later runs over all files write the same files as the first, and report each file that they skip."""
    Path("thumbsmith.toml").write_text(recipe)
    assert thumbsmith("make", *_images()).code == 0
    first = _files()
    for _ in range(2):
        ran = thumbsmith("make", *_images())
        assert (ran.code, _files()) == (0, first)
        assert len(ran.err.splitlines()) == len(first) - 3
        assert ran.err.startswith("skipped photos/a.jpg.")


def test_another_recipe_does_not_take_them(thumbsmith: Command):
    """Thumbnails of other variants are skipped too, if their source exists."""
    Path("thumbsmith.toml").write_text(DENSE)
    thumbsmith("make", "photos/a.jpg")
    Path("thumbsmith.toml").write_text(JPEG.replace("small", "tiny"))
    thumbsmith("make", *_images())
    assert {name for name in _files() if "tiny" in name} == {"a.jpg.tiny.jpg", "b.jpg.tiny.jpg", "sub/c.jpg.tiny.jpg"}


def test_an_output_folder_among_the_images(thumbsmith: Command):
    """With -o below the images, files in that folder are skipped, also if their source is not given."""
    Path("thumbsmith.toml").write_text(DENSE)
    thumbsmith("make", *_images(), "-o", "photos/out")
    first = _files()
    assert thumbsmith("make", *_images(), "-o", "photos/out").code == 0
    assert thumbsmith("make", *_images("photos/out"), "-o", "photos/out").code == 0
    assert _files() == first


@pytest.mark.parametrize("output", ["photos/out", "photos/out/{stem}-{width}{ext}", "photos/out/{variant}/"])
def test_an_output_folder_below_the_images_without_a_record(thumbsmith: Command, output: str):
    """With -r and -o below the folder, a second run takes no output of the first, also without a record of it."""
    before = {"a.jpg", "b.jpg", "sub/c.jpg"}
    for cache, size in (("one", 8), ("two", 8), ("three", 9)):
        thumbsmith.patch.setenv("XDG_CACHE_HOME", str(thumbsmith.folder / cache))
        ran = thumbsmith("make", "photos", "-r", "--size", str(size), "-o", output, "--json")
        made = [each["key"] for each in ran.events[:-1] if each["outcome"] == "made"]
        assert (ran.code, made) == (0, ["photos/a.jpg", "photos/b.jpg", "photos/sub/c.jpg"])
    assert {name for name in _files() if not name.startswith("out/")} == before


def test_named_images_in_the_output_folder_are_made(thumbsmith: Command):
    """An image that is named, or whose folder is, is an image, also in the folder of -o."""
    assert len(thumbsmith("make", "photos/sub/c.jpg", "--size", "8", "-o", "photos/sub").out.splitlines()) == 1
    Path("photos/sub/c.jpg.8.webp").unlink()
    assert len(thumbsmith("make", "photos/sub", "-r", "--size", "8", "-o", "photos/sub").out.splitlines()) == 1
    Path("photos/sub/c.jpg.8.webp").unlink()
    ran = thumbsmith("make", "photos", "-r", "--size", "8", "-o", "photos/sub")
    assert (ran.code, ran.err) == (0, "skipped photos/sub/c.jpg: it is in photos/sub, the folder of -o\n")


def test_a_source_without_an_extension(thumbsmith: Command):
    """Thumbnails of a file without an extension are recognized by the names of the recipe."""
    Path("photos/scan").write_bytes(picture())
    thumbsmith("make", *_images())
    first = _files()
    thumbsmith("make", *_images())
    assert _files() == first
    Path("photos/a.jpg").unlink()
    thumbsmith("make", *_images())
    assert _files() == first - {"a.jpg"}


@pytest.mark.parametrize(
    "name", ["a.b.jpg", "trip.small.webp", "scan.v2.png", "2026.01.02.jpg", ".small.webp", "v1.jpg"]
)
def test_a_picture_of_the_users_is_made(thumbsmith: Command, name: str):
    """An image with a name like a thumbnail, but without a source, is an image."""
    Path("2026.01").write_text("a note, no source of 2026.01.02.jpg")
    Path(name).write_bytes(picture())
    ran = thumbsmith("make", name, "-o", "out")
    assert (ran.code, ran.err) == (0, "")
    assert len(list(Path("out").iterdir())) == 3


def test_the_demo_skips_thumbnails(thumbsmith: Command):
    """The demo skips the output of make and of an earlier demo; without other images it fails with a message."""
    thumbsmith("make", "photos/a.jpg")
    ran = thumbsmith("demo", *sorted(Path("photos").glob("*.*")))
    assert (ran.code, ran.err.count("skipped")) == (0, 3)
    assert "2 sources: 2 made" in ran.out
    made = Path("thumbsmith-demo/thumbnails/a.jpg/small.webp")
    assert "skipped" in thumbsmith("demo", "photos/b.jpg", made).err
    ran = thumbsmith("demo", made)
    assert (ran.code, "all of these images are thumbnails" in ran.err) == (2, True)
