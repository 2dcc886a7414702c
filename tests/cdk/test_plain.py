"""`thumbsmith aws synth`: a template that needs nothing but CloudFormation, and the code of the functions."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from thumbsmith.cdk.plain import MAX_TEMPLATE_BYTES, main

SETTINGS = ("stack=Mine", "api=iam", "catalogue=true", "audit_repair=true", "alarms=true", "dashboard=true")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Return the folder, and what the command printed as results and for people, for many settings."""
    folder = tmp_path_factory.mktemp("plain")
    command = [sys.executable, "-m", "thumbsmith", "aws", "synth", "-o", "out"]
    command += [word for each in (*SETTINGS, "delivery=true") for word in ("-c", each)]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=600)
    return folder, done.stdout, done.stderr


def test_the_template_names_no_file_of_cdk(written: tuple[Path, str, str]):
    """Code comes from parameters or from the template itself; nothing refers to a bootstrapped account."""
    folder, _, _ = written
    text = (folder / "out" / "template.json").read_text(encoding="utf-8")
    template = json.loads(text)
    assert set(template["Parameters"]) == {"CodeBucket", "CodeKey", "ApiCodeKey"}
    functions = [each for each in template["Resources"].values() if each["Type"] == "AWS::Lambda::Function"]
    assert len(functions) == 5
    for each in functions:
        code = each["Properties"]["Code"]
        assert "ZipFile" in code or code["S3Bucket"] == {"Ref": "CodeBucket"}, code
    assert "cdk-hnb659fds" not in text
    assert "CDKMetadata" not in text


def test_the_code_is_named_by_its_content(written: tuple[Path, str, str]):
    """The default of each parameter is the name of a file with its digest, so that an update replaces the code."""
    folder, output, _ = written
    paths = [folder / line for line in output.splitlines()]
    assert [path.is_file() for path in paths] == [True] * 3
    parameters = json.loads(paths[0].read_text(encoding="utf-8"))["Parameters"]
    assert [parameters[name]["Default"] for name in ("CodeKey", "ApiCodeKey")] == [path.name for path in paths[1:]]
    for path in paths[1:]:
        assert hashlib.sha256(path.read_bytes()).hexdigest()[:16] in path.name
    with zipfile.ZipFile(paths[1]) as code:
        assert "thumbsmith/aws/handler.py" in code.namelist()


def test_the_command_says_how_to_deploy(written: tuple[Path, str, str]):
    """The guide uploads each file, and names a bucket for a template that is too large for a request."""
    folder, _, guide = written
    assert guide.count("aws s3 cp out/thumbsmith-") == 2
    assert "--stack-name Mine --template-file out/template.json" in guide
    is_large = (folder / "out" / "template.json").stat().st_size > MAX_TEMPLATE_BYTES
    assert ("--s3-bucket" in guide) is is_large


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("sorce=photos", "-c sorce: there is no such setting"),
        ("leave_nothing=true", "-c leave_nothing: expected no such setting for a plain template"),
        ("cli_credentials=true", "-c cli_credentials: expected no such setting"),
        ("memory=much", "context memory: expected a whole number, found 'much'"),
        ("architecture=mips", "context architecture: expected arm64 or x86_64, found 'mips'"),
        (
            "recipe=[variants.small]\nwidth = 10\n# " + "x" * 2048,
            "recipe: expected at most 2048 bytes",
        ),
        ("recipe=nowhere.toml", "nowhere.toml"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], setting: str, words: str
):
    """An unknown setting or a bad value gives one sentence and exit code 2; nothing is written."""
    monkeypatch.chdir(tmp_path)
    assert main(["out", setting]) == 2
    said = capsys.readouterr().err
    assert said.startswith("thumbsmith: ")
    assert words in said
    assert said.count("\n") == 1
    assert not Path("out").exists()


def test_a_folder_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Where a file has the name of the folder, one sentence says so; exit code 1."""
    monkeypatch.chdir(tmp_path)
    Path("out").write_text("a file")
    assert main(["out"]) == 1
    assert "out: cannot be written: File exists" in capsys.readouterr().err
