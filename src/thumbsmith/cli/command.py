"""Commands as click builds them: their help, their option values, and the level of output."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Literal

import click
from click.shell_completion import CompletionItem

from thumbsmith.cli.wording import suggestion

EXAMPLES: Final = "Examples:"

# The key of a click context, and of all contexts below it, that has the level of output.
LEVEL: Final = "thumbsmith.level"


class HelpFormatter(click.HelpFormatter):
    """Help with headings and names in color. click removes colors where the output is no terminal."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """Write the usage line."""
        super().write_usage(click.style(prog, bold=True), args, prefix or click.style("Usage: ", fg="green", bold=True))

    def write_heading(self, heading: str) -> None:
        """Write the heading of a section."""
        super().write_heading(click.style(heading, fg="green", bold=True))

    def write_dl(self, rows: Any, col_max: int = 30, col_spacing: int = 2) -> None:
        """Write a list of options or commands, each with its description."""
        super().write_dl([(click.style(name, fg="cyan"), text) for name, text in rows], col_max, col_spacing)


class Context(click.Context):
    """The context of one command."""

    formatter_class = HelpFormatter


class Command(click.Command):
    """A command whose docstring may end with examples. `sections` names options that have a section of their own."""

    context_class = Context

    def __init__(self, *args: Any, sections: Mapping[str, Collection[str]] | None = None, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.sections = sections or {}
        text, _, examples = inspect.cleandoc(self.help or "").partition(EXAMPLES)
        self.help, self.examples = text.strip(), [line.strip() for line in examples.splitlines() if line.strip()]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options by section, then the examples."""
        titles = {name: title for title, names in self.sections.items() for name in names}
        rows: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if isinstance(parameter, click.Option) and record:
                rows.setdefault(titles.get(parameter.name or "", "Options"), []).append(record)
        for title, records in rows.items():
            with formatter.section(title):
                formatter.write_dl(records)
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def command(**settings: Any) -> Callable[[Callable[..., Any]], Command]:
    """Return a decorator that makes a command of a function. Without arguments it prints its help, unless set."""
    return click.command(cls=Command, **{"no_args_is_help": True, **settings})


class Number(click.ParamType[float]):
    """A number from `low` to `high`; a whole number unless `fraction`."""

    name = "number"

    def __init__(self, low: float, high: float | None = None, *, fraction: bool = False) -> None:
        self.low, self.high, self.fraction = low, high, fraction

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number in a text. Fails with what was expected and what was found."""
        try:
            found: float = float(value) if self.fraction else int(value)
        except ValueError:
            found = float("nan")
        if not self.low <= found <= (float("inf") if self.high is None else self.high) or found == float("inf"):
            kind = "a number" if self.fraction else "a whole number"
            which = f"of {self.low:g} or more" if self.high is None else f"from {self.low:g} to {self.high:g}"
            self.fail(f"expected {kind} {which}, found {value!r}", param, ctx)
        return found


class Words(click.Choice[str]):
    """One of a few words."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word. Fails with what was expected and what was found, and the nearest word."""
        if value not in self.choices:
            expected = f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"
            self.fail(f"expected {expected}, found {value!r}{suggestion(value, self.choices)}", param, ctx)
        return str(value)


class Path(click.ParamType[str]):
    """A path, or an address of a store. Shells complete paths: of files for "file", of folders for "dir"."""

    def __init__(self, name: Literal["file", "dir"]) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002 - click's signature
        """Return the text: what it leads to is checked when it is opened."""
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - as above
        """Let the shell complete the path."""
        return [CompletionItem(incomplete, type=self.name)]


FILE_PATH: Final = Path("file")
FOLDER_PATH: Final = Path("dir")
