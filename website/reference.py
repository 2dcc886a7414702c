"""The pages of the reference that are made from the program itself, as Markdown."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click

import thumbsmith
from thumbsmith.cli.app import app
from thumbsmith.environment import Setting
from thumbsmith.errors import Code


def commands() -> str:
    """Return a section for each command, with its help as it is printed."""
    lines = [
        "# Commands",
        "",
        "The help of each command, as `COMMAND --help` prints it. [Files and folders](../commands.md) has examples.",
        "",
    ]
    context = click.Context(app, info_name="thumbsmith", terminal_width=100)
    for path, command, inner in _commands(app, context):
        lines += [f"## `{path}`", "", "```text", click.unstyle(command.get_help(inner)).rstrip(), "```", ""]
    return "\n".join(lines)


def _commands(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = type(context)(command, info_name=name, parent=context, terminal_width=100, max_content_width=100)
        yield inner.command_path, command, inner
        if isinstance(command, click.Group):
            yield from _commands(command, inner)


def python() -> str:
    """Return a section for each public name, from its signature and docstring."""
    lines = [
        "# Python names",
        "",
        "All names that `import thumbsmith` offers, from their docstrings. [Python](../python.md) has examples.",
        "",
    ]
    for name in sorted(thumbsmith.__all__, key=str.lower):
        found = getattr(thumbsmith, name)
        if callable(found):
            lines += [f"## `{name}`", "", *_signature(name, found), *_text(found), *_members(found)]
    return "\n".join(lines)


def _signature(name: str, found: object) -> list[str]:
    if isinstance(found, type) and issubclass(found, Exception):
        return []
    parameters = inspect.signature(found).parameters.values()  # type: ignore[arg-type]
    shown = [str(each.replace(annotation=inspect.Parameter.empty)) for each in parameters if each.name != "self"]
    return ["```python", f"{name}({', '.join(shown)})", "```", ""]


def _text(found: object) -> list[str]:
    return [(inspect.getdoc(found) or "").replace("<", "&lt;"), ""]


def _members(found: object) -> list[str]:
    """Return a line for each public method and property that a class defines itself, and that has a docstring."""
    if not isinstance(found, type):
        return []
    members = {name: value for name, value in vars(found).items() if not name.startswith("_")}
    documented = {name: value for name, value in members.items() if _is_described(value)}
    if not documented:
        return []
    rows = (f"| `{name}` | {' '.join((inspect.getdoc(value) or '').split())} |" for name, value in documented.items())
    return ["| | |", "|---|---|", *(row.replace("<", "&lt;") for row in rows), ""]


def _is_described(value: object) -> bool:
    kinds = (classmethod, staticmethod, property)
    return (inspect.isfunction(value) or isinstance(value, kinds)) and bool(inspect.getdoc(value))


def environment() -> str:
    """Return a table of all environment variables."""
    return "\n".join(
        [
            "# Environment variables",
            "",
            "Options win over variables. `AWS_*` variables work as in all tools for AWS: see [buckets](../s3.md).",
            "Those of other clouds: [Google and Azure](../clouds.md).",
            "",
            "| variable | value |",
            "|---|---|",
            *(f"| `{each}` | {each.description} |" for each in Setting),
            "| `NO_COLOR`, `FORCE_COLOR` | Output without or with color. |",
            "| `XDG_CACHE_HOME` | The folder for caches. Default: `~/.cache`. |",
            "",
        ]
    )


def codes() -> str:
    """Return a table of all rejection codes, with their meaning as the page about the destination has it."""
    page = (Path(__file__).parents[1] / "docs/destination.md").read_text(encoding="utf-8")
    rows = [row.strip("| ").split(" | ") for row in page.splitlines() if row.startswith("| `")]
    meanings = {code: text for names, *rest in rows for code in re.findall(r"`(\w+)`", names) for text in rest[:1]}
    return "\n".join(
        [
            "# Rejection codes",
            "",
            "A rejected source cannot have thumbnails. Its manifest has one of these codes and the details.",
            "[Troubleshooting](../troubleshooting.md#a-source-is-rejected) says what to do.",
            "",
            "| code | meaning |",
            "|---|---|",
            *(f"| `{code}` | {meanings[code].replace('](', '](../')} |" for code in Code),
            "",
        ]
    )


PAGES = {"commands": commands, "python": python, "environment": environment, "codes": codes}
