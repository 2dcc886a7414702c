"""`thumbsmith make` and `demo`."""

import os
import re
from pathlib import Path

from tests.cli.command import Command
from tests.pictures import opened, picture

RECIPE = "[variants.small]\nwidth = 8\nformats = ['webp', 'jpeg']"


def test_thumbnails_lie_beside_the_image(thumbsmith: Command):
    """photo.jpg gives photo.jpg.small.webp in the same folder, and no manifest."""
    (thumbsmith.folder / "thumbsmith.toml").write_text(RECIPE)
    ran = thumbsmith("make", "photos/a.jpg", "photos/sub/c.jpg")
    assert ran.code == 0
    assert {path.name for path in (thumbsmith.folder / "photos").rglob("*.*")} == {
        *("a.jpg", "a.jpg.small.webp", "a.jpg.small.jpg", "b.jpg"),
        *("c.jpg", "c.jpg.small.webp", "c.jpg.small.jpg"),
    }
    assert opened((thumbsmith.folder / "photos" / "a.jpg.small.webp").read_bytes()).size == (8, 5)
    assert "photos/a.jpg.small.webp  8 x 5  " in ran.out


def test_thumbnails_lie_in_the_folder_given(thumbsmith: Command):
    """With -o, thumbnails are in that folder, which is created."""
    assert thumbsmith("make", "photos/a.jpg", "-o", "new/out").code == 0
    assert {path.name for path in Path("new/out").iterdir()} == {f"a.jpg.{v}.webp" for v in ("icon", "small", "large")}


def test_a_rejected_image_is_told_and_the_rest_made(thumbsmith: Command):
    """A rejected image gives one sentence and exit code 1; the others get thumbnails."""
    Path("note.txt").write_text("no image")
    ran = thumbsmith("make", "note.txt", "photos/a.jpg", "-o", "out")
    assert ran.code == 1
    assert ran.err.startswith("note.txt: unsupported_format: ")
    assert len(list(Path("out").iterdir())) == 3


def test_a_link_is_followed(thumbsmith: Command):
    """An image behind a symlink is read, and its thumbnails are in the folder of the link."""
    Path("link.jpg").symlink_to("photos/a.jpg")
    assert thumbsmith("make", "link.jpg").code == 0
    assert Path("link.jpg.icon.webp").is_file()


def test_what_cannot_be_done_is_said_before_anything_is(thumbsmith: Command):
    """Two images with one output name, a missing image, a folder, or a file as output: exit code 2, nothing written."""
    Path("a.jpg").write_bytes(picture())
    Path("file").touch()
    for arguments, sentence in (
        (["a.jpg", "photos/a.jpg", "-o", "out"], "would both become out/a.jpg.*"),
        (["a.jpg", "none.jpg", "-o", "out"], "none.jpg: no such file"),
        (["photos", "-o", "out"], "photos: expected an image file, found a folder"),
        (["a.jpg", "-o", "file"], "file: expected a folder to write to, found a file"),
    ):
        ran = thumbsmith("make", *arguments)
        assert (ran.code, len(ran.err.splitlines())) == (2, 1)
        assert sentence in ran.err
        assert not Path("out").exists()


def test_what_is_no_file_is_named(thumbsmith: Command):
    """An empty standard input, a pipe, a device and a folder each have a message; exit code 2."""
    os.mkfifo("pipe")
    reading, writing = os.pipe()
    os.close(writing)
    for argument, found in (
        ("pipe", "found a pipe: use "),
        (f"/dev/fd/{reading}", "found a pipe"),
        ("/dev/null", "found a device"),
        ("photos/a.jpg/b.jpg", "found Not a directory"),
    ):
        ran = thumbsmith("make", argument, "-o", "out")
        assert (ran.code, len(ran.err.splitlines())) == (2, 1)
        assert ran.err.startswith(f"thumbsmith: {argument}: expected an image file, {found}")
    os.close(reading)
    Path("-").write_bytes(picture())
    assert thumbsmith("make", "./-", "-o", "out").code == 0


def test_the_output_is_a_folder_here(thumbsmith: Command):
    """An output path that is no folder is refused before anything is made."""
    for output in ("s3://bucket/x", "~/x"):
        ran = thumbsmith("make", "photos/a.jpg", "-o", output)
        assert (ran.code, "expected a folder's path" in ran.err) == (2, True)


def test_the_same_image_twice_is_made_once(thumbsmith: Command):
    """An image that is given twice is no conflict."""
    assert thumbsmith("make", "photos/a.jpg", "photos/a.jpg", "-o", "out").code == 0


def test_the_demo_shows_the_samples(thumbsmith: Command):
    """The demo makes upright thumbnails of the samples, with a page without scripts; a second time they are fresh."""
    ran = thumbsmith("demo")
    assert ran.code == 0
    assert "8 sources: 8 made" in ran.out
    turned = opened(Path("thumbsmith-demo/thumbnails/chelsea.jpg/small.webp").read_bytes())
    assert turned.size == (256, 170)
    page = Path("thumbsmith-demo/index.html").read_text()
    assert page.count("<picture>") == 8
    links = re.findall(r'(?:src|href)="([^"?]+)', page)
    assert len(links) == 8 * 4
    assert all(Path("thumbsmith-demo", link).is_file() for link in links)
    assert "<script" not in page
    transparent = page.partition("transparent.png</h2>")[0].rpartition("<section")[2]
    assert "checkerboard" in transparent
    assert "background-color" not in transparent
    assert "8 sources: 0 made, 8 fresh" in thumbsmith("demo").out


def test_the_demo_shows_the_files_given(thumbsmith: Command):
    """`demo IMAGE` shows those files instead, with the reason for a rejected one."""
    thumbsmith("demo")
    Path("<b>.gif").write_text("no image")
    ran = thumbsmith("demo", "photos/a.jpg", "<b>.gif")
    assert ran.code == 0
    assert {path.name for path in Path("thumbsmith-demo/thumbnails").iterdir()} == {"a.jpg", "<b>.gif"}
    page = Path("thumbsmith-demo/index.html").read_text()
    assert "&lt;b&gt;.gif" in page
    assert "unsupported_format" in page
    assert "<b>" not in page


def test_the_demo_says_what_it_cannot_show(thumbsmith: Command):
    """A missing image and two images with one name give exit code 2 and a sentence."""
    assert "none.jpg: no such file" in thumbsmith("demo", "none.jpg").err
    Path("a.jpg").write_bytes(picture())
    ran = thumbsmith("demo", "a.jpg", "photos/a.jpg")
    assert (ran.code, "the same name" in ran.err) == (2, True)
