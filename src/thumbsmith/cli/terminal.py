"""Output of commands: JSON lines for programs on stdout; messages and progress for people on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import click

from thumbsmith.cli.command import LEVEL

if TYPE_CHECKING:
    from rich.progress import Progress


def emit(event: str, **fields: object) -> None:
    """Print one JSON object as a line on stdout, without the fields that are None."""
    present = {name: value for name, value in fields.items() if value is not None}
    sys.stdout.write(json.dumps({"event": event, **present}) + "\n")
    sys.stdout.flush()


class Advance(Protocol):
    """A function that advances a progress bar by `by` steps and shows a text, or counts by word."""

    def __call__(self, counts: str | Mapping[str, int], by: int = 1) -> object:
        """Advance it."""


class Console:
    """Where a command prints for people, at the level of -q or -v, above the progress bar if one is shown."""

    def __init__(self) -> None:
        context = click.get_current_context(silent=True)
        level = context.meta.get(LEVEL) if context else None
        self.quiet, self.verbose = level == "quiet", level == "verbose"
        self.is_terminal = sys.stderr.isatty()
        self._bar: Progress | None = None

    def print(self, text: str) -> None:
        """Print a message on stderr."""
        if self._bar:
            self._bar.console.print(click.unstyle(text) if self._bar.console.no_color else _rich_text(text))
        else:
            click.echo(text, err=True)

    def note(self, text: str) -> None:
        """Print a message on stderr that is no error, unless the user wants only errors."""
        if not self.quiet:
            self.print(text)

    def say(self, text: str) -> None:
        """Print a result on stdout, unless the user wants only errors."""
        if not self.quiet:
            click.echo(text)

    def show_cursor(self) -> None:
        """Show the cursor of the terminal again, which a progress bar hides."""
        if self._bar:
            self._bar.console.show_cursor()

    @contextmanager
    def progress(self, label: str, total: int | None, *, least: int = 0) -> Iterator[Advance]:
        """Show a progress bar on a terminal during the block. Yield the function that advances it.

        `total` is None while the number of steps is not known. Fewer steps than `least` show no bar.
        """
        if self.quiet or not self.is_terminal or (total is not None and total < least):
            yield lambda counts, by=1: None  # noqa: ARG005 - as the other function
            return
        from thumbsmith.cli.progress import progress_bar  # noqa: PLC0415 - rich is slow to load

        with progress_bar(label, total) as (self._bar, advance):
            try:
                yield advance
            finally:
                self._bar.refresh()
        self._bar = None


def _rich_text(text: str) -> Any:
    from rich.text import Text  # noqa: PLC0415 - as above

    return Text.from_ansi(text)


def styled(text: str, color: str) -> str:
    """Return a text in a color that click knows. click removes the color where the output is no terminal."""
    return click.style(text, fg=color) if color else text
