"""What commands print: JSON lines for programs on stdout, sentences and progress for people on stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from thumbsmith.errors import RecipeError


def emit(event: str, **fields: object) -> None:
    """Print one JSON object on a line of stdout; fields that are None are left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    sys.stdout.write(json.dumps({"event": event, **given}) + "\n")
    sys.stdout.flush()


def shown(text: str) -> str:
    """Return a key for people's eyes: whatever a terminal would act on, or cannot print, is escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def people() -> Console:
    """Return the console for people, on stderr."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


class Rate(ProgressColumn):
    """Sources a second."""

    def render(self, task: Task) -> Text:
        """Return the rate so far."""
        return Text(f"{task.speed:.1f}/s" if task.speed else "", style="progress.data.speed")


@contextmanager
def progress(console: Console, what: str, total: int) -> Iterator[Any]:
    """Yield a function that moves the bar, by one or `by`, and shows a text; without a terminal it does nothing."""
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[counts]}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=total, counts="")
        yield lambda counts, by=1: bar.update(task, advance=by, counts=counts)


def numbers(counts: dict[str, int]) -> str:
    """Return counts as a phrase: 3 made, 2 fresh."""
    return ", ".join(f"{count:,} {word}" for word, count in counts.items())


def duration(amount: float) -> str:
    """Return so many seconds in the unit that people would say them in."""
    for unit, size in (("h", 3600), ("min", 60)):
        if amount >= 1.5 * size:
            return f"{amount / size:,.1f} {unit}"
    return f"{amount:,.0f} s"


def number(option: str, text: str) -> float:
    """Return the count that an option was given: 1000, 1e6. Raises RecipeError for what is none."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise RecipeError(f"{option}: expected a number of 0 or more, found {text!r}")
    return found
