"""`thumbsmith make` without a recipe: sizes, formats, folders, names of the output, standard input and output."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import Command
from tests.pictures import opened, picture


def _files(folder: str | Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


def _piped(*arguments: str, data: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "thumbsmith", "make", *arguments]
    return subprocess.run(command, input=data, capture_output=True, check=False, timeout=300)


@pytest.mark.parametrize(
    ("size", "made"), [("16", (16, 10)), ("12x4", (6, 4)), ("12x", (12, 8)), ("x4", (6, 4)), ("012X04", (6, 4))]
)
def test_a_size_is_one_variant_with_its_name(thumbsmith: Command, size: str, made: tuple[int, int]):
    """--size makes one thumbnail in this box. Its name is the size, without zeros at the start."""
    Path("a.jpg").write_bytes(picture(size=(60, 40)))
    assert thumbsmith("make", "a.jpg", "--size", size, "-o", "out").code == 0
    (path,) = Path("out").iterdir()
    assert path.name == f"a.jpg.{size.lower().replace('0', '')}.webp"
    width, height = opened(path.read_bytes()).size
    assert (width, abs(height - made[1]) <= 1) == (made[0], True)


def test_all_quick_options_at_once(thumbsmith: Command):
    """Fit, formats, quality and gravity apply to the variant; jpg means jpeg."""
    ran = thumbsmith(
        *("make", "photos/a.jpg", "--size", "20x20", "--fit", "cover", "--format", "webp,jpg"),
        *("--quality", "30", "--gravity", "auto", "-o", "out"),
    )
    assert (ran.code, _files("out")) == (0, {"a.jpg.20x20.webp", "a.jpg.20x20.jpg"})
    assert all(opened(path.read_bytes()).size == (20, 20) for path in Path("out").iterdir())


def test_several_sizes(thumbsmith: Command):
    """--size may be repeated."""
    thumbsmith("make", "photos/a.jpg", "--size", "8", "--size", "16", "--size", "8", "-o", "out")
    assert _files("out") == {"a.jpg.8.webp", "a.jpg.16.webp"}


def test_other_options_change_the_variants_of_the_recipe(thumbsmith: Command):
    """Without --size, --format and --quality apply to each variant of the recipe."""
    thumbsmith("make", "photos/a.jpg", "--format", "png", "-o", "out")
    assert _files("out") == {f"a.jpg.{name}.png" for name in ("icon", "small", "large")}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--size", "0"], "--size: expected pixels as 256"),
        (["--size", "x"], "--size: expected pixels as 256"),
        (["--size", "20000"], "each side from 1 to 16383, found '20000'"),
        (["--size", "٥"], "--size: expected pixels as 256"),
        (["--size", "64,128"], "found '64,128'; for several sizes, repeat --size"),
        (["--size", "1x2x3"], "found '1x2x3'"),
        (["--fit", "crop"], "--fit: expected inside, cover, contain, outside or fill, found 'crop'"),
        (["--format", "gif"], "--format: expected jpeg, png, webp, avif or source, separated by commas, found 'gif'"),
        (["--format", "wbp"], "found 'wbp'; did you mean webp?"),
        (["--format", "jpeg,"], "found ''"),
        (["--quality", "101"], "--quality: expected a whole number from 1 to 100, or auto, found '101'"),
        (["--quality", "high"], "found 'high'"),
        (["--gravity", "middle"], "--gravity: expected center"),
        (["--size", "9", "--gravity", "north"], "--gravity: expected --fit cover with it"),
        (["--size", "9", "-o", "{nme}{ext}"], "{nme} is no placeholder; expected {stem}, {name}"),
        (["--size", "9", "-o", "{name!r}"], "{name!r} is no placeholder"),
        (["--size", "9", "-o", "{stem:d}{ext}"], "{stem:d} is no placeholder"),
        (["--size", "9", "-o", "{stem:{width}}{ext}"], "{stem:{width}} is no placeholder"),
        (["--size", "9", "-o", "{width:04}{ext}"], "{width:04} is no placeholder"),
        (["--size", "9", "-o", "{folder}"], "-o {folder}: expected a name for each thumbnail, found none: add {stem}"),
        (["--size", "9", "-o", "{"], "-o {: "),
        (["--size", "9", "-o", "stem}{ext}"], "-o stem}{ext}: "),
        (["--size", "9", "-o", "stem}"], "-o stem}: "),
        (["--size", "9", "-o", "{name}"], "a thumbnail would replace the image a.jpg"),
        (["--size", "9", "--format", "webp", "-o", "{stem}.png"], "the thumbnail is webp: use {ext}, or --format png"),
        (["-o", "out/{stem}{ext}"], "two thumbnails of a.jpg would both become out/a.webp: use --size"),
        (["-o", "thumb.jpg"], "two thumbnails of a.jpg would both become thumb.jpg"),
        (["-o", ""], "-o: expected a folder, a template or -, found an empty text"),
        ([""], "expected an image file, found an empty argument"),
        (["-o", "-"], "-o -: expected one image and one thumbnail, found 1 image and 3 thumbnails of each"),
        (["--size", "9", "-o", "-", "--json"], "--json: expected without -o -"),
    ],
)
def test_a_mistake_is_one_sentence(thumbsmith: Command, options: list[str], sentence: str):
    """An impossible or ineffective option gives exit code 2 and one line, and nothing is written."""
    Path("a.jpg").write_bytes(picture())
    before = _files(".")
    ran = thumbsmith("make", "a.jpg", *options)
    assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert sentence in ran.err
    assert _files(".") == before


def test_a_template_names_the_output(thumbsmith: Command):
    """All placeholders are replaced; folders of a template are created; {ext} has its dot, also after another dot."""
    image = ["make", "photos/sub/c.jpg", "--size", "16"]
    thumbsmith(*image, "-o", "out/{stem}.{variant}{ext}")
    thumbsmith(*image, "-o", "out/{name}-{width}x{height}.{ext}")
    thumbsmith(*image, "-o", "out/{variant}/")
    assert _files("out") == {"c.16.webp", "c.jpg-16x11.webp", "16/c.jpg.16.webp"}


def test_a_file_name_as_output_sets_the_format(thumbsmith: Command):
    """-o thumb.jpg writes that file, in the format of its extension."""
    assert thumbsmith("make", "photos/a.jpg", "--size", "16", "-o", "thumb.jpg").code == 0
    assert opened(Path("thumb.jpg").read_bytes()).format == "JPEG"


def test_names_that_only_differ_by_size_are_checked_when_they_are_known(thumbsmith: Command):
    """Two thumbnails of the same size and name: the second one fails, the first one stays."""
    (thumbsmith.folder / "thumbsmith.toml").write_text("[variants.a]\nwidth=100\n[variants.b]\nwidth=200\n")
    Path("a.jpg").write_bytes(picture(size=(60, 40)))
    ran = thumbsmith("make", "a.jpg", "-o", "out/{width}{ext}")
    assert (ran.code, _files("out")) == (1, {"60.webp"})
    assert "out/60.webp is another thumbnail or an image: add {variant} to -o" in ran.err


def test_a_folder_needs_r(thumbsmith: Command):
    """-r takes the images of a folder and below, without hidden files and other files, and keeps the folders."""
    for name in ("notes.txt", ".hidden.jpg", ".git/x.jpg", "@eaDir/a.jpg"):
        path = Path("photos", name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture())
    assert "add -r" in thumbsmith("make", "photos", "--size", "9").err
    ran = thumbsmith("make", "photos", "-r", "--size", "9", "-o", "out")
    assert (ran.code, _files("out")) == (0, {"a.jpg.9.webp", "b.jpg.9.webp", "sub/c.jpg.9.webp"})
    thumbsmith("make", "photos", "-r", "--size", "9", "-o", "flat/{folder}x-{name}{ext}")
    assert _files("flat") == {"x-a.jpg.webp", "x-b.jpg.webp", "sub/x-c.jpg.webp"}
    Path("empty").mkdir()
    ran = thumbsmith("make", "empty", "-r")
    assert (ran.code, "empty: no images there" in ran.err) == (2, True)


@pytest.mark.parametrize("output", [[], ["-o", "photos/{stem}-thumb{ext}"], ["-o", "photos/out"]])
def test_what_make_wrote_is_never_its_input(thumbsmith: Command, output: list[str]):
    """Repeated runs over a folder, also with another size, use the same images, whatever the thumbnails are called."""
    for _ in range(2):
        assert thumbsmith("make", "photos", "-r", "--size", "9", "--format", "jpeg", *output).code == 0
    assert len(_files("photos")) == 6
    (summary,) = [
        each
        for each in thumbsmith("make", "photos", "-r", "--size", "7", "--json", "-o", "other").events
        if each["event"] == "summary"
    ]
    assert (summary["sources"], summary["skipped"]) == (3, 3)


def test_an_image_that_is_copied_stays_an_image(thumbsmith: Command):
    """Where the thumbnail is the source itself, byte for byte, the source is not skipped later."""
    Path("tiny.png").write_bytes(picture(size=(4, 4), kind="png"))
    for _ in range(2):
        ran = thumbsmith("make", "tiny.png", "--size", "64", "--format", "source", "-o", "out/{stem}{ext}")
        assert (ran.code, ran.err) == (0, "")


def test_the_record_is_only_a_help(thumbsmith: Command, monkeypatch: pytest.MonkeyPatch):
    """A record that is damaged, unreadable or too large, or no cache folder, changes no result."""
    record = Path(os.environ["XDG_CACHE_HOME"], "thumbsmith", "made")
    record.parent.mkdir(parents=True, exist_ok=True)
    for content in (b"\xff\xfe", b"x y\n5\n\n", b"7 00\n" * 2_000_000):
        record.write_bytes(content)
        assert thumbsmith("make", "photos/a.jpg", "--size", "9", "-o", "out").code == 0
    assert record.stat().st_size < 6_000_000
    record.unlink()
    record.mkdir()
    assert thumbsmith("make", "photos/a.jpg", "--size", "9", "-o", "out").code == 0
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME", raising=False)
    assert thumbsmith("make", "photos/a.jpg", "--size", "9", "-o", "out").code == 0


def test_standard_input_and_output():
    """`make -` reads an image from standard input and writes its one thumbnail to standard output, and nothing else."""
    ran = _piped("-", "--size", "16", "--format", "jpeg", data=picture())
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert (opened(ran.stdout).format, opened(ran.stdout).size[0]) == ("JPEG", 16)


def test_standard_input_into_a_folder(thumbsmith: Command):
    """With -o, an image from standard input has the name stdin."""
    assert _piped("-", "--size", "16", "-o", "out", data=picture()).returncode == 0
    assert _files("out") == {"stdin.16.webp"}
    ran = _piped("photos/a.jpg", "--size", "16", "-o", "-", data=b"")
    assert opened(ran.stdout).size[0] == 16


def test_a_bad_standard_input_is_one_sentence(thumbsmith: Command):
    """No bytes: exit code 2. No image, or one above the limit: exit code 1. Standard output stays empty."""
    Path("thumbsmith.toml").write_text("[limits]\nmax_bytes = 1000\n")
    for data, code, sentence in (
        (b"", 2, "expected an image on standard input, found no bytes"),
        (b"text", 1, "standard input: unsupported_format: "),
        (bytes(5000), 1, "standard input: too_many_bytes: "),
    ):
        ran = _piped("-", "--size", "16", data=data)
        assert (ran.returncode, ran.stdout, ran.stderr.count(b"\n")) == (code, b"", 1)
        assert sentence in ran.stderr.decode()


def test_a_terminal_is_no_image_and_shows_none(thumbsmith: Command):
    """A terminal as standard input or output is refused, because it has and shows no image."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "thumbsmith", "make", "--size", "9"]
    for arguments, streams, sentence in (
        (["-"], {"stdin": theirs, "stdout": subprocess.PIPE}, "found a terminal: use a pipe, or name a file"),
        (["photos/a.jpg", "-o", "-"], {"stdout": theirs}, "found a terminal: use > FILE, or -o FILE"),
    ):
        ran = subprocess.run([*command, *arguments], stderr=subprocess.PIPE, text=True, check=False, **streams)
        assert (ran.returncode, sentence in ran.stderr) == (2, True)
    os.close(ours)
    os.close(theirs)


def test_results_come_in_the_order_of_the_arguments(thumbsmith: Command):
    """Large and small images, made at the same time, are printed in the order given."""
    sizes = [(1500, 1000), (20, 10), (900, 900), (10, 10)]
    for number, size in enumerate(sizes):
        Path(f"{number}.jpg").write_bytes(picture(size=size))
    names = [f"{number}.jpg" for number in (0, 1, 3, 2)]
    ran = thumbsmith("make", *names, "--size", "50", "-j", "4")
    assert [line.split(".50")[0] for line in ran.out.splitlines()] == names


def test_json_lines_tell_all(thumbsmith: Command):
    """--json prints each image with its files, rejections with their code, skipped thumbnails, and a summary."""
    Path("note.jpg").write_text("no image")
    thumbsmith("make", "photos/a.jpg", "--size", "16")
    ran = thumbsmith("make", "note.jpg", "photos/a.jpg", "photos/a.jpg.16.webp", "--size", "16", "--json")
    skipped, rejected, made, summary = ran.events
    assert (ran.code, ran.err) == (1, "")
    assert (skipped["key"], skipped["outcome"]) == ("photos/a.jpg.16.webp", "skipped")
    assert (rejected["key"], rejected["outcome"], rejected["code"]) == ("note.jpg", "rejected", "unsupported_format")
    (file,) = made["files"]
    assert (file["path"], file["variant"], file["width"]) == ("photos/a.jpg.16.webp", "16", 16)
    assert file["bytes"] == Path(file["path"]).stat().st_size
    counts = {name: summary[name] for name in ("sources", "made", "rejected", "failed", "skipped", "renditions")}
    assert counts == {"sources": 2, "made": 1, "rejected": 1, "failed": 0, "skipped": 1, "renditions": 1}
    assert json.dumps(summary)


def test_many_images_end_with_a_summary(thumbsmith: Command):
    """From five images on, the last line has the totals."""
    for number in range(5):
        Path(f"{number}.jpg").write_bytes(picture())
    Path("5.jpg").write_text("no image")
    ran = thumbsmith("make", *[f"{number}.jpg" for number in range(6)], "--size", "9")
    assert ran.out.splitlines()[-1].startswith("6 images: 5 thumbnails written, 1 rejected; ")
    assert thumbsmith("make", "-q", "0.jpg", "--size", "9").out == ""


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("photos/a.jpq", "did you mean a.jpg?"),
        ("*.gif", "the pattern matches no file"),
        ("nowhere/a.jpg", "there is no folder nowhere"),
    ],
)
def test_a_missing_file_has_a_hint(thumbsmith: Command, name: str, hint: str):
    """A file that does not exist is named, with what to do."""
    ran = thumbsmith("make", name)
    assert (ran.code, ran.err.startswith(f"thumbsmith: {name}: no such file")) == (2, True)
    assert hint in ran.err


def test_an_address_is_no_file(thumbsmith: Command):
    """Make reads files; for a bucket, the message names the command."""
    ran = thumbsmith("make", "s3://bucket/a.jpg")
    assert (ran.code, "s3://bucket/a.jpg: expected a file" in ran.err, '"thumbsmith sync"' in ran.err) == (
        2,
        True,
        True,
    )
