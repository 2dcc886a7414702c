"""Shells complete commands, options and paths."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import Command
from thumbsmith.cli.app import COMMANDS


def _completed(words: str) -> list[str]:
    """Return what bash would offer for the last word."""
    environment = os.environ | {
        "_THUMBSMITH_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    command = [sys.executable, "-m", "thumbsmith"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("thumbsmith pl", ["plain,plan"]),
        ("thumbsmith ", [f"plain,{name}" for name in COMMANDS]),
        ("thumbsmith sync --rec", ["plain,--recipe"]),
        ("thumbsmith make --fit co", ["plain,cover", "plain,contain"]),
        ("thumbsmith sync ", ["dir,"]),
        ("thumbsmith make ", ["file,"]),
        ("thumbsmith plan --recipe sh", ["file,sh"]),
        ("thumbsmith aws boot", ["plain,bootstrap"]),
    ],
)
def test_words_are_completed(words: str, offered: list[str]):
    """Commands, options, words of options, files and folders are offered where they fit."""
    assert _completed(words) == offered


@pytest.mark.parametrize(
    ("shell", "script", "startup"),
    [
        ("bash", ".local/share/thumbsmith/completion.bash", ".bashrc"),
        ("zsh", ".local/share/thumbsmith/completion.zsh", ".zshrc"),
        ("fish", ".config/fish/completions/thumbsmith.fish", None),
    ],
)
def test_completion_is_installed_once(
    thumbsmith: Command, monkeypatch: pytest.MonkeyPatch, shell: str, script: str, startup: str | None
):
    """The script is written, and the shell's startup file gets one line, also after a second run. Other lines stay."""
    home = thumbsmith.folder / "my home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    if startup:
        (home / startup).write_text("alias ll='ls -l'")
    first = thumbsmith("--install-completion", shell)
    monkeypatch.setenv("SHELL", f"/bin/{shell}")
    second = thumbsmith("--install-completion")
    assert (first.code, second.code) == (0, 0)
    assert f"wrote {home / script}" in second.out
    assert "_THUMBSMITH_COMPLETE" in (home / script).read_text()
    if startup:
        assert startup in first.out
        kept, line = (home / startup).read_text().splitlines()
        assert (kept, line.endswith(f"source '{home / script}'")) == ("alias ll='ls -l'", True)


def test_what_prevents_an_installation_is_said(thumbsmith: Command, monkeypatch: pytest.MonkeyPatch):
    """An unknown shell, no home folder, and a folder that cannot be made each give one sentence and exit code 2."""
    monkeypatch.delenv("SHELL", raising=False)
    assert "found no shell in $SHELL" in thumbsmith("--install-completion").err
    Path("file").touch()
    monkeypatch.setenv("HOME", str(thumbsmith.folder / "file"))
    ran = thumbsmith("--install-completion", "bash")
    assert (ran.code, "the completion cannot be written" in ran.err, ran.err.count("\n")) == (2, True, 1)
    monkeypatch.delenv("HOME")
    assert "HOME is not set" in thumbsmith("--install-completion", "bash").err


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="this system has no bash")
def test_bash_reads_the_script(thumbsmith: Command, monkeypatch: pytest.MonkeyPatch):
    """Bash accepts the installed script, and knows the completion afterwards."""
    monkeypatch.setenv("HOME", str(thumbsmith.folder))
    thumbsmith("--install-completion", "bash")
    command = ["/bin/bash", "--noprofile", "--norc", "-c", "source ~/.bashrc && complete -p thumbsmith"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert "thumbsmith" in done.stdout
