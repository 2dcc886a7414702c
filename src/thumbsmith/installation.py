"""How this installation of Thumbsmith gets an extra. The command depends on the program that installed it."""

from __future__ import annotations

import shlex
import sys
from typing import Any


def missing_extra(what: str, extra: str) -> str:
    """Return the message for a feature whose optional packages are not installed, with the command that adds them."""
    return f'{what} needs the extra "{extra}": run {install_command(extra)}'


def install_command(extra: str | None = None) -> str:
    """Return the command that adds an extra to this installation, or without one repairs it, for a POSIX shell.

    It installs from the same origin: the package index, a checkout, an archive or a repository.
    """
    from importlib.util import find_spec  # noqa: PLC0415 - only needed where an extra is missing
    from pathlib import Path  # noqa: PLC0415 - as above

    words = _requirement(extra)
    # uv and pipx describe a tool in a file in its environment: https://docs.astral.sh/uv/concepts/tools and
    # https://pipx.pypa.io/stable/explanation/how-pipx-works
    prefix = Path(sys.prefix)
    if (prefix / "uv-receipt.toml").exists():
        program = ["uv", "tool", "install", "--force"]
    elif (prefix / "pipx_metadata.json").exists():
        program = ["pipx", "install", "--force"]
    elif find_spec("pip"):
        program = [sys.executable, "-m", "pip", "install"]
    else:
        program = ["uv", "pip", "install", "--python", sys.executable]
    return shlex.join([*program, *words])


def _requirement(extra: str | None) -> list[str]:
    """Return the package with the extra as an installer names it.

    https://packaging.python.org/en/latest/specifications/direct-url describes the origin.
    """
    origin = _origin()
    url = str(origin.get("url", ""))
    added = f"[{extra}]" if extra else ""
    name = f"thumbsmith{added}"
    if "dir_info" in origin:
        from urllib.parse import unquote, urlsplit  # noqa: PLC0415 - as above

        folder = f"{unquote(urlsplit(url).path)}{added}"
        return ["--editable", folder] if origin["dir_info"].get("editable") else [folder]
    if "vcs_info" in origin:
        source = origin["vcs_info"]
        return [f"{name} @ {source['vcs']}+{url}@{source['commit_id']}"]
    return [f"{name} @ {url}"] if url else [name]


def _origin() -> dict[str, Any]:
    """Return where the package was installed from, as its installer recorded it; empty for the package index."""
    import json  # noqa: PLC0415 - as above
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415 - as above

    try:
        found = json.loads(distribution("thumbsmith").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
