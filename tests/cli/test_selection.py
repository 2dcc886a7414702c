"""`--include`, `--exclude`, `plan --exit-code`, and the level and color of output."""

import pytest

from tests.cli.command import Command
from tests.pictures import picture

COUNTED = ("missing", "stale", "fresh", "rejected")


def _counts(thumbsmith: Command, *options: str) -> dict[str, int]:
    summary = thumbsmith("plan", "photos", "thumbs", "--json", *options).summary
    return {word: summary[word] for word in ("sources", "orphaned")}


@pytest.mark.parametrize(
    ("options", "sources"),
    [
        (["--include", "*.jpg"], 2),
        (["--include", "**.jpg"], 3),
        (["--include", "a.*", "--include", "sub/**"], 2),
        (["--exclude", "sub/**"], 2),
        (["--include", "**.jpg", "--exclude", "b*"], 2),
    ],
)
def test_globs_select_sources(thumbsmith: Command, options: list[str], sources: int):
    """Globs of the command line work as those of a recipe, in plan and in sync."""
    assert _counts(thumbsmith, *options)["sources"] == sources
    assert thumbsmith("sync", "photos", "thumbs", "--json", *options).summary["made"] == sources


def test_globs_are_added_to_those_of_the_recipe(thumbsmith: Command):
    """Include of the recipe and of the command line both select; each exclude wins."""
    (thumbsmith.folder / "thumbsmith.toml").write_text('[source]\ninclude = ["a*"]\nexclude = ["**/c*"]')
    assert _counts(thumbsmith, "--include", "b*", "--include", "sub/*")["sources"] == 2


def test_what_is_left_out_is_orphaned(thumbsmith: Command):
    """Thumbnails of images that --exclude leaves out are orphaned, and --keep-orphans keeps them."""
    thumbsmith("sync", "photos", "thumbs")
    assert _counts(thumbsmith, "--exclude", "b*") == {"sources": 2, "orphaned": 4}
    assert thumbsmith("sync", "photos", "thumbs", "--exclude", "b*", "--keep-orphans", "--json").summary["deleted"] == 0
    assert thumbsmith("sync", "photos", "thumbs", "--exclude", "b*", "--json").summary["deleted"] == 4


def test_a_text_that_is_no_glob_is_refused(thumbsmith: Command):
    """An open class of characters gives exit code 2 and one line that names the option."""
    ran = thumbsmith("sync", "photos", "thumbs", "--exclude", "[a")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert ran.err.startswith("thumbsmith: --exclude: expected a glob")


@pytest.mark.parametrize("extra", [[], ["--json"], ["-q"]])
def test_the_exit_code_says_whether_there_is_something_to_do(thumbsmith: Command, extra: list[str]):
    """With --exit-code: 3 for missing, stale and orphaned thumbnails, 0 for none of them. Without: 0."""

    def code(*options: str) -> int:
        return thumbsmith("plan", "photos", "thumbs", *extra, *options).code

    assert (code(), code("--exit-code")) == (0, 3)
    thumbsmith("sync", "photos", "thumbs")
    (thumbsmith.folder / "thumbs" / "mine.txt").touch()
    (thumbsmith.folder / "photos" / "note.gif").write_text("no image")
    thumbsmith("sync", "photos", "thumbs")
    assert code("--exit-code") == 0
    (thumbsmith.folder / "photos" / "a.jpg").write_bytes(picture("#ffffff"))
    assert code("--exit-code") == 3
    thumbsmith("sync", "photos", "thumbs")
    (thumbsmith.folder / "photos" / "a.jpg").unlink()
    assert (code("--exit-code"), code("--exit-code", "--keep-orphans")) == (3, 0)
    assert thumbsmith("plan", "none", "thumbs", "--exit-code").code == 2


def test_quiet_prints_only_errors(thumbsmith: Command):
    """-q, before or after the command, prints nothing for a run without errors."""
    for arguments in (["-q", "plan"], ["plan"], ["sync"], ["make"]):
        where = ["photos/a.jpg"] if "make" in arguments else ["photos", "thumbs", "-q"]
        ran = thumbsmith(*(["-q"] if "make" in arguments else []), *arguments, *where)
        assert (ran.code, ran.out, ran.err) == (0, "", "")
    (thumbsmith.folder / "photos" / "note.gif").write_text("no image")
    assert thumbsmith("sync", "photos", "thumbs", "--quiet").err.startswith("rejected note.gif: ")


def test_verbose_prints_each_image(thumbsmith: Command):
    """-v prints a line for each source, also for those that are up to date."""
    ran = thumbsmith("sync", "photos", "thumbs", "-v")
    assert sorted(ran.err.splitlines()) == [
        f"made {key}: 3 thumbnails written" for key in ("a.jpg", "b.jpg", "sub/c.jpg")
    ]
    assert sorted(thumbsmith("-v", "sync", "photos", "thumbs").err.splitlines()) == [
        f"fresh {key}" for key in ("a.jpg", "b.jpg", "sub/c.jpg")
    ]
    assert thumbsmith("plan", "photos", "thumbs", "--recipe", "none.toml", "-v").code == 2


def test_many_rejections_of_a_kind_are_summarized(thumbsmith: Command):
    """Of each reason ten rejections are printed, then their number; -v prints each; the summary groups by reason."""
    for number in range(12):
        (thumbsmith.folder / "photos" / f"{number:02}.gif").write_text("no image")
    (thumbsmith.folder / "photos" / "empty.jpg").touch()
    ran = thumbsmith("sync", "photos", "thumbs")
    assert ran.err.count("rejected ") == 11
    assert "... and 2 more rejected: unsupported_format (-v prints each)" in ran.err
    assert "13 rejected (12 unsupported_format, 1 empty)" in ran.out
    assert "13 rejected (12 unsupported_format, 1 empty)" in thumbsmith("plan", "photos", "thumbs").out
    assert thumbsmith("sync", "photos", "thumbs", "-v").err.count("rejected ") == 13


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ([], "empty has no images: check the path"),
        (["--prefix", "2026/"], "keys begin with 2026/: check --prefix"),
        (["--include", "*.jpg"], "that include and exclude select: check the recipe and the options"),
    ],
)
def test_a_source_without_images_has_a_hint(thumbsmith: Command, options: list[str], hint: str):
    """An empty source is no error, but people read what to check."""
    (thumbsmith.folder / "empty").mkdir()
    for command in ("plan", "sync"):
        ran = thumbsmith(command, "empty", "thumbs", *options)
        assert (ran.code, hint in ran.err) == (0, True)
        assert ran.out.startswith("0 sources: ")


def test_one_is_singular(thumbsmith: Command):
    """Counts of one have a noun in the singular."""
    out = thumbsmith("sync", "photos/sub", "thumbs").out
    assert out.startswith("1 source: 1 made, 0 fresh; 3 thumbnails written; ")
    assert "a second" not in out
    (thumbsmith.folder / "thumbs" / "c.jpg" / "icon.webp").unlink()
    assert "1 thumbnail written" in thumbsmith("sync", "photos/sub", "thumbs").out
    assert thumbsmith("plan", "photos/sub", "thumbs").out == "1 source: 0 missing, 0 stale, 1 fresh\nnothing to do\n"


def test_color_is_for_terminals_and_where_it_is_wanted(thumbsmith: Command, monkeypatch: pytest.MonkeyPatch):
    """FORCE_COLOR colors output that is no terminal; NO_COLOR and TERM=dumb win over it; JSON has no color."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    commands = (["plan", "photos", "thumbs"], ["--help"], ["plan", "--help"], ["plan", "photos", "thumbs", "--json"])
    for command in commands:
        assert "\x1b[" not in thumbsmith(*command).out
        monkeypatch.setenv("FORCE_COLOR", "1")
        assert ("\x1b[" in thumbsmith(*command).out) is ("--json" not in command)
        for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
            monkeypatch.setenv(name, value)
            assert "\x1b[" not in thumbsmith(*command).out
            monkeypatch.delenv(name)
        monkeypatch.delenv("FORCE_COLOR")
