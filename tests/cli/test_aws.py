"""`thumbsmith aws` without AWS. Tests with an emulator of AWS are in tests/cloud."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import Command
from thumbsmith.cli import aws, aws_check
from thumbsmith.errors import StoreError
from thumbsmith.reconcile.manifest import Manifest, Rejection, RenditionRecord, SourceRecord
from thumbsmith.store import open_store
from thumbsmith.store.base import Headers


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "thumbsmith", "aws", *arguments]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=300)


def test_the_stack_is_listed(tmp_path: Path):
    """`thumbsmith aws list` lists the stack of the ready app, with programs from Python packages only."""
    done = _run(tmp_path, "list", "-c", "stack=Mine")
    assert (done.returncode, done.stdout.strip()) == (0, "Mine")


def test_an_app_of_ones_own_is_taken(tmp_path: Path):
    """An app in the arguments runs instead of the ready one, and its failure is reported."""
    done = _run(tmp_path, "list", "--app", "echo nothing here >&2; exit 3")
    assert done.returncode == 1
    assert "nothing here" in done.stderr


@pytest.mark.parametrize("words", [["aws://1/r"], ["--app", "x"], ["-a", "x"], ["--app=x"]])
def test_what_to_work_on_may_be_named(words: list[str]):
    """With an app or an environment in the arguments, the ready app is not added."""
    assert aws._has_app(["--verbose", *words])
    assert not aws._has_app(["--verbose"])


@pytest.mark.parametrize("command", ["deploy", "synth", "list", "bootstrap", "destroy"])
def test_without_the_extra_one_sentence_names_it(thumbsmith: Command, command: str, monkeypatch: pytest.MonkeyPatch):
    """Without the extra, one sentence names it; exit code 2."""
    monkeypatch.setattr(aws, "find_spec", lambda name: None)
    ran = thumbsmith("aws", command)
    assert ran.code == 2
    assert ran.err.startswith('thumbsmith: thumbsmith aws needs the extra "cdk": run ')
    assert ran.err.count("\n") == 1


def test_a_stack_that_is_not_there(thumbsmith: Command, ministack: str):
    """A check of an unknown stack gives one sentence; exit code 2."""
    ran = thumbsmith("aws", "check", "Nowhere")
    assert ran.code == 2
    assert ran.err.startswith("thumbsmith: stack Nowhere: ")
    assert ran.err.count("\n") == 1


def test_a_stack_of_somebody_else(monkeypatch: pytest.MonkeyPatch):
    """A stack with other outputs is refused."""
    monkeypatch.setattr(aws_check, "stack_outputs", lambda stack: {"Other": "x"})
    with pytest.raises(StoreError, match="stack Theirs: expected the outputs"):
        aws_check.deployment_of("Theirs")


def test_a_check_that_fails_leaves_nothing(thumbsmith: Command, ministack: str, monkeypatch: pytest.MonkeyPatch):
    """If no thumbnails appear, the check names what it waited for, and deletes its image; exit code 1."""
    bucket = ministack.removeprefix("s3://")
    outputs = {"SourceBucket": bucket, "SourcePrefix": "in/", "DestinationBucket": bucket, "DestinationPrefix": "out/"}
    monkeypatch.setattr(aws_check, "stack_outputs", lambda stack: outputs)
    ran = thumbsmith("aws", "check", "Mine", "--timeout", "1", "--json")
    assert ran.code == 1
    assert "waited 1 seconds for the manifest of the image" in ran.err
    assert [json.loads(line)["step"] for line in ran.out.splitlines()] == ["put", "deleted"]
    assert list(open_store(ministack).list()) == []


def _manifest(**changes: object) -> Manifest:
    rendition = RenditionRecord(
        variant="small",
        fingerprint="f",
        key="a/small.webp",
        type="image/webp",
        format="webp",
        width=1,
        height=1,
        bytes=4,
        sha256="s",
        etag="e",
    )
    given = {
        "recipe": "r",
        "limits": "l",
        "source": SourceRecord(key="a", etag="1", bytes=9),
        "renditions": (rendition,),
    }
    return Manifest(**(given | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("manifest", "size"),
    [
        (_manifest(source=SourceRecord(key="a", etag="2", bytes=9)), 4),
        (_manifest(renditions=()), 4),
        (_manifest(), 5),
        (_manifest(renditions=(), rejection=Rejection(code="corrupt", detail="no picture")), 4),
    ],
)
def test_a_manifest_that_is_wrong_is_noticed(manifest: Manifest, size: int, tmp_path: Path):
    """Another etag, no renditions, a rendition of another size, or a rejection fails the check."""
    destination = open_store(f"memory://{tmp_path}")
    destination.put("a/small.webp", b"x" * size, Headers(content_type="image/webp"))
    with pytest.raises(StoreError):
        aws_check.verify(manifest, destination, "a", "1")


def test_a_manifest_that_is_right_passes(tmp_path: Path):
    """A manifest for this etag passes if all its renditions exist."""
    destination = open_store(f"memory://{tmp_path}")
    destination.put("a/small.webp", b"four", Headers(content_type="image/webp"))
    aws_check.verify(_manifest(), destination, "a", "1")
