"""The progress bar of a terminal. It is a module of its own because rich is slow to load."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from thumbsmith.cli.terminal import Advance
from thumbsmith.cli.wording import format_counts

# The bar changes this often: a change costs more time than an unchanged source.
_SECONDS: Final = 0.1


class _Rate(ProgressColumn):
    """Steps per second."""

    def render(self, task: Task) -> Text:
        """Return the rate so far."""
        return Text(f"{task.speed:,.1f}/s" if task.speed else "", style="progress.data.speed")


@contextmanager
def progress_bar(label: str, total: int | None) -> Iterator[tuple[Progress, Advance]]:
    """Show a progress bar on stderr during the block; yield it and the function that advances it.

    While `total` is not known, None, a spinner shows the text and the time so far.
    """
    known = (TextColumn(label), BarColumn(complete_style="green"), MofNCompleteColumn(), _Rate())
    columns = (
        (*known, TimeRemainingColumn(compact=True), TextColumn("{task.fields[counts]}"))
        if total is not None
        else (SpinnerColumn(), TextColumn(label), TextColumn("{task.fields[counts]}"), TimeElapsedColumn())
    )
    console = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(label, total=total, counts="")

        waiting, shown = 0, -math.inf

        def advance(counts: str | Mapping[str, int], by: int = 1) -> None:
            nonlocal waiting, shown
            waiting += by
            now = time.monotonic()
            if now >= shown + _SECONDS:
                text = counts if isinstance(counts, str) else format_counts({w: n for w, n in counts.items() if n})
                bar.update(task, advance=waiting, counts=text)
                waiting, shown = 0, now

        yield bar, advance
