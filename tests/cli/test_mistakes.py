"""What beginners type, and what they read: what is wrong, where, and what to do."""

from pathlib import Path

import pytest

from tests.cli.command import Command
from tests.pictures import picture


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a.jpg"], '"a.jpg" is not a command: to make thumbnails of files, use "thumbsmith make a.jpg"'),
        (["a b.jpg", "--size", "9"], "use \"thumbsmith make 'a b.jpg' --size 9\""),
        (["none.png"], 'use "thumbsmith make none.png"'),
        (["photos"], '"photos" is a folder or an address, not a command: use "thumbsmith sync photos ./thumbs"'),
        (["photos", "out"], 'use "thumbsmith sync photos out"'),
        (["s3://a/b", "s3://c"], 'use "thumbsmith sync s3://a/b s3://c"'),
        (["snyc", "photos", "thumbs"], '"snyc" is not a command; did you mean sync?'),
        (["zebra"], '"zebra" is not a command; "thumbsmith --help" lists the commands'),
        (["help"], '"help" is not a command: use "thumbsmith --help"'),
        (["help", "make"], '"help" is not a command: use "thumbsmith make --help"'),
        (["version"], 'use "thumbsmith --version"'),
        (["resize", "a.jpg"], 'use "thumbsmith make"'),
        (["status"], 'use "thumbsmith plan"'),
        (["deploy"], 'use "thumbsmith aws deploy"'),
        (["--size", "9", "a.jpg"], 'no option --size before the command: use "thumbsmith make --size ..."'),
        (["--frobnicate"], "no option --frobnicate"),
        (["make", "a.jpg", "--sise", "9"], "no option --sise; did you mean --size?"),
        (["sync", "photos"], "DST is missing"),
        (["sync", "photos", "thumbs", "more"], "got unexpected extra argument (more)"),
        (["make", "--size"], "option '--size' requires an argument"),
        (["make", "--size", "9"], "IMAGE|FOLDER|-... is missing"),
        (["sync", "photos", "thumbs", "--jobs", "many"], "--jobs: expected a whole number from 1 to 256, found 'many'"),
        (["serve", "--port", "80000"], "--port: expected a whole number from 0 to 65535, found '80000'"),
        (["cost", "--images", "1", "--megapixels", "0"], "--megapixels: expected a number of 0.01 or more, found '0'"),
        (
            ["cost", "--images", "1", "--via", "quene"],
            "expected here, uploads, queue or batch, found 'quene'; did you mean",
        ),
        (["sync", "s3:/bucket", "thumbs"], "found an address without its ://"),
        (["sync", "photos", "photos/thumbs"], "put the destination next to the source, such as ../thumbs"),
        (["make", "photos"], "found a folder: for the images in it, add -r"),
        (["make", "a.jpeg"], "a.jpeg: no such file; did you mean a.jpg?"),
        (["redrive", "sqs://x", "photos"], "expected QUEUE alone, or QUEUE SRC DST, found 2 arguments"),
        (["conformance", "a", "b", "c"], "expected STACK, DST, or SRC DST, found 3 arguments"),
        (["--install-completion", "tcsh"], "--install-completion: expected bash, zsh or fish, found tcsh"),
        (["sync", "photos", "thumbs", "--recipe", "shop.tml"], "shop.tml: expected a readable file, found none"),
        (["sync", "photos", "thumbs", "--recipe", "b b.jpg"], "found none; did you mean a b.jpg?"),
        (["sync", "phtos", "thumbs"], "phtos: No such file or directory; did you mean photos?"),
        (["explain", "potos", "thumbs", "a.jpg"], "potos: No such file or directory; did you mean photos?"),
    ],
)
def test_a_mistake_has_a_message_with_the_way_on(thumbsmith: Command, arguments: list[str], sentence: str):
    """The exit code is 2, the first line has the sentence, and nothing is written."""
    for name in ("a.jpg", "a b.jpg"):
        Path(name).write_bytes(picture())
    before = set(Path().rglob("*"))
    ran = thumbsmith(*arguments)
    assert (ran.code, ran.out) == (2, "")
    first, *rest = ran.err.splitlines()
    assert first.startswith("thumbsmith: ")
    assert sentence in first
    assert not rest or (rest[0].startswith("Usage: thumbsmith") and rest[-1].endswith("the arguments and options."))
    assert set(Path().rglob("*")) == before


def test_an_existing_recipe_is_kept(thumbsmith: Command):
    """A second init changes nothing, and says so."""
    assert thumbsmith("init").code == 0
    ran = thumbsmith("init")
    assert (ran.code, "thumbsmith.toml exists already and was not changed" in ran.err) == (2, True)


def test_the_usage_line_is_plain(thumbsmith: Command):
    """Usage lines name arguments as the documentation does, without braces and types."""
    for command, usage in (
        ("sync", "thumbsmith sync [OPTIONS] SRC DST"),
        ("explain", "thumbsmith explain [OPTIONS] SRC DST KEY"),
        ("html", "thumbsmith html [OPTIONS] DST KEY"),
        ("make", "thumbsmith make [OPTIONS] IMAGE|FOLDER|-..."),
        ("demo", "thumbsmith demo [OPTIONS] [IMAGE]..."),
        ("redrive", "thumbsmith redrive [OPTIONS] QUEUE [SRC DST]"),
        ("conformance", "thumbsmith conformance [OPTIONS] [STACK|DST|SRC DST]"),
    ):
        out = thumbsmith(command, "--help").out
        assert out.splitlines()[0] == f"Usage: {usage}"
        assert not {"{SRC}", "{DST}", "<bool>"} & set(out.split())


def test_a_command_without_its_arguments_prints_its_help(thumbsmith: Command):
    """Without arguments, a command that needs some prints its help on stderr, with exit code 2."""
    for command in (["sync"], ["make"], []):
        ran = thumbsmith(*command)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("Usage: thumbsmith")


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version(thumbsmith: Command, option: str):
    """-V and --version print the same."""
    assert thumbsmith(option).out.startswith("thumbsmith 0.")


def test_every_command_has_a_line_in_the_help_and_examples(thumbsmith: Command):
    """The list of commands has all of them, and the help of each shows its examples on lines of their own."""
    from thumbsmith.cli.app import COMMANDS  # noqa: PLC0415 - the list under test

    out = thumbsmith("--help").out
    for name, text in COMMANDS.items():
        assert any(line.split() == [name, *text.split()] for line in out.splitlines())
        if name != "aws":
            assert f"\nExamples:\n  thumbsmith {name}" in thumbsmith(name, "--help").out
