"""Completion of commands and options by bash, zsh and fish: install the script that click writes."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Final

from click.shell_completion import get_completion_class

from thumbsmith.cli.app import app
from thumbsmith.environment import COMPLETION_VARIABLE, home_folder, login_shell
from thumbsmith.errors import UsageError

# The script, below the home folder, and the file that each interactive shell reads. fish reads its folder by itself.
FILES: Final = {
    "bash": (".local/share/thumbsmith/completion.bash", ".bashrc"),
    "zsh": (".local/share/thumbsmith/completion.zsh", ".zshrc"),
    "fish": (".config/fish/completions/thumbsmith.fish", None),
}

# In zsh the script needs the function compdef, which this loads.
BEFORE: Final = {"zsh": "autoload -Uz compinit && compinit && "}


def install(shell: str) -> str:
    """Write the script for a shell, let the shell read it, and return what was done. Default: the shell in use.

    Raises UsageError for an unknown shell, and if a file cannot be written.
    """
    name = shell or login_shell()
    completion = get_completion_class(name)
    if name not in FILES or completion is None:
        raise UsageError(f"--install-completion: expected bash, zsh or fish, found {name or 'no shell in $SHELL'}")
    script, startup = FILES[name]
    home = Path(home_folder())
    try:
        path = _write(home / script, completion(app, {}, "thumbsmith", COMPLETION_VARIABLE).source())
        changed = [str(path)]
        if startup:
            line = f"{BEFORE.get(name, '')}source {shlex.quote(str(path))}"
            changed += [str(home / startup)] if _append(home / startup, line) else []
    except OSError as error:
        raise UsageError(f"{error.filename}: the completion cannot be written: {error.strerror}") from error
    return f"wrote {' and '.join(changed)}; open a new terminal to use it"


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _append(path: Path, line: str) -> bool:
    """Append a line to a file, unless the file has it; return whether the file was changed."""
    existing = path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""
    if line in existing.splitlines():
        return False
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{'' if existing.endswith(os.linesep) or not existing else os.linesep}{line}\n")
    return True
