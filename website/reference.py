"""The pages of the reference that are made from the program itself, as Markdown."""

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from textwrap import dedent

import click

import thumbsmith
from http_reference import http
from thumbsmith.cli.app import app
from thumbsmith.environment import Setting
from thumbsmith.errors import Code
from thumbsmith.recipe.fields import Checked, Option, options
from thumbsmith.recipe.schema import LIMITS, SELECTION, VARIANT
from thumbsmith.recipe.suffixes import OTHER_SUFFIXES


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
            lines += [f"## `{name}`", "", *_text(found), *_parameters(found), *_members(found)]
    return "\n".join(lines)


def _text(found: object) -> list[str]:
    """Return a docstring. Its indented lines are examples."""
    text = _escaped(inspect.getdoc(found) or "")
    return [
        re.sub(r"((?:^    .*\n?)+)", lambda code: f"```python\n{dedent(code[0])}\n```", text, flags=re.MULTILINE),
        "",
    ]


def _parameters(found: object) -> list[str]:
    """Return a table of the parameters of a function or class. Fields of a recipe have their descriptions."""
    if isinstance(found, type) and issubclass(found, Exception):
        return []
    described: dict[str, Option] = {}
    if isinstance(found, type) and issubclass(found, Checked):
        described = {name: declared for name, declared, _ in options(found)}
    signature = inspect.signature(found)  # type: ignore[arg-type]
    rows = []
    for each in signature.parameters.values():
        default = "" if each.default is each.empty else f"`{_default(each.default)}`"
        description = described[each.name].description if each.name in described else ""
        rows.append(f"| `{each.name}` | `{_annotation(each.annotation)}` | {default} | {_escaped(description)} |")
    table = ["| parameter | type | default | |", "|---|---|---|---|", *rows, ""] if rows else []
    returns = signature.return_annotation
    is_function = not isinstance(found, type)
    return [*table, *([f"Returns `{_annotation(returns)}`.", ""] if is_function and returns != "None" else [])]


def _annotation(annotation: object) -> str:
    return str(annotation).replace("|", "\\|").strip("'\"")


def _default(value: object) -> str:
    """Return a default as a reader would write it."""
    if callable(value) or repr(value) == "<factory>":
        return "..."
    return repr(value.value if isinstance(value, Enum) else value).replace("|", "\\|")


def _members(found: object) -> list[str]:
    """Return a line for each public method and property that a class defines itself, and that has a docstring."""
    if not isinstance(found, type):
        return []
    members = {name: value for name, value in vars(found).items() if not name.startswith("_")}
    documented = {name: value for name, value in members.items() if _is_described(value)}
    if not documented:
        return []
    rows = (f"| `{name}` | {' '.join((inspect.getdoc(value) or '').split())} |" for name, value in documented.items())
    return ["| method or property | |", "|---|---|", *map(_escaped, rows), ""]


def _is_described(value: object) -> bool:
    kinds = (classmethod, staticmethod, property)
    return (inspect.isfunction(value) or isinstance(value, kinds)) and bool(inspect.getdoc(value))


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;")


def recipe() -> str:
    """Return a table of the fields of each table of a recipe, and all suffixes of files that are ignored."""
    lines = [
        "# Recipe fields",
        "",
        "All fields of `thumbsmith.toml`, from the table that the program checks them with. [The recipe](../recipe.md)",
        "explains them. `[defaults]` may have every field of a variant.",
        "",
    ]
    for name, table in (("[variants.NAME]", VARIANT), ("[source]", SELECTION), ("[limits]", LIMITS)):
        lines += [f"## `{name}`", "", "| field | value | default | |", "|---|---|---|---|"]
        for field, each in table.options.items():
            default = "" if each.default is None else f"`{as_toml(each.default)}`"
            lines.append(f"| `{field}` | {each.kind.expected} | {default} | {each.description} |")
        lines.append("")
    lines += ["## Ignored suffixes", "", "| kind | suffixes |", "|---|---|"]
    for kind, suffixes in OTHER_SUFFIXES.items():
        lines.append(f"| {kind} | {' '.join(f'`.{suffix}`' for suffix in sorted(suffixes))} |")
    return "\n".join([*lines, ""])


def as_toml(value: object) -> str:
    """Return a value as TOML writes it, a table on one line."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case list():
            return "[" + ", ".join(map(as_toml, value)) + "]"
        case dict():
            return "{ " + ", ".join(f"{name} = {as_toml(each)}" for name, each in value.items()) + " }"
    return str(value)


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
    """Return a table of all rejection codes: their meaning, and what to do, as two pages have them."""
    meanings, remedies = _rows_by_code("destination.md"), _rows_by_code("troubleshooting.md")
    return "\n".join(
        [
            "# Rejection codes",
            "",
            "A rejected source cannot have thumbnails. Its manifest has one of these codes and the details.",
            "",
            "| code | meaning | what to do |",
            "|---|---|---|",
            *(f"| `{code}` | {meanings[code]} | {remedies[code]} |" for code in Code),
            "",
        ]
    )


def _rows_by_code(page: str) -> dict[str, str]:
    """Return the second cell of each row of the tables of a page, by the words in backquotes in the first cell."""
    text = (Path(__file__).parents[1] / "docs" / page).read_text(encoding="utf-8").replace("](", "](../")
    rows = [row.strip("| ").split(" | ") for row in text.splitlines() if row.startswith("| `")]
    return {code: meaning for names, meaning, *_ in rows for code in re.findall(r"`(\w+)`", names)}


PAGES = {
    "commands": commands,
    "recipe": recipe,
    "http": http,
    "python": python,
    "environment": environment,
    "codes": codes,
}
