"""The command that adds an extra fits the way the package was installed."""

import json
import shlex
import sys
from pathlib import Path

import pytest

from thumbsmith.installation import install_command, missing_extra


def _install(folder: Path, patch: pytest.MonkeyPatch, origin: dict | str | None, *, marks: str | None = None) -> None:
    """Make Python find an installation with this origin, in an environment with this file."""
    metadata = folder / "site" / "thumbsmith-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: thumbsmith\nVersion: 0.1.0\n")
    if origin is not None:
        (metadata / "direct_url.json").write_text(origin if isinstance(origin, str) else json.dumps(origin))
    patch.syspath_prepend(folder / "site")
    if marks:
        (folder / marks).touch()
    patch.setattr(sys, "prefix", str(folder))


CHECKOUT = {"url": "file:///home/me/my%20code/thumbsmith", "dir_info": {}}
EDITABLE = {"url": "file:///src/thumbsmith", "dir_info": {"editable": True}}
COMMIT = {"url": "https://example.com/t.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
ARCHIVE = {"url": "file:///tmp/thumbsmith-0.1.0-py3-none-any.whl", "archive_info": {}}


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        (None, ["thumbsmith[web]"]),
        ("not JSON", ["thumbsmith[web]"]),
        ("[]", ["thumbsmith[web]"]),
        (CHECKOUT, ["/home/me/my code/thumbsmith[web]"]),
        (EDITABLE, ["--editable", "/src/thumbsmith[web]"]),
        (COMMIT, ["thumbsmith[web] @ git+https://example.com/t.git@abc"]),
        (ARCHIVE, ["thumbsmith[web] @ file:///tmp/thumbsmith-0.1.0-py3-none-any.whl"]),
    ],
)
@pytest.mark.parametrize(
    ("marks", "program"),
    [
        (None, [sys.executable, "-m", "pip", "install"]),
        ("uv-receipt.toml", ["uv", "tool", "install", "--force"]),
        ("pipx_metadata.json", ["pipx", "install", "--force"]),
    ],
)
def test_the_extra_comes_from_the_same_origin(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    origin: dict | str | None,
    words: list[str],
    marks: str | None,
    program: list[str],
):
    """The command names the installer of this environment, and the index, checkout, commit or archive as the origin."""
    _install(tmp_path, monkeypatch, origin, marks=marks)
    assert shlex.split(install_command("web")) == [*program, *words]


def test_an_environment_without_pip_uses_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Uv makes environments without pip."""
    _install(tmp_path, monkeypatch, None)
    monkeypatch.setitem(sys.modules, "pip", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert shlex.split(install_command("web")) == [
        *("uv", "pip", "install", "--python", sys.executable, "thumbsmith[web]")
    ]


def test_the_message_is_one_sentence():
    """It says what needs which extra, and the command."""
    message = missing_extra("thumbsmith serve", "web")
    assert message == f'thumbsmith serve needs the extra "web": run {install_command("web")}'
    assert "\n" not in message
