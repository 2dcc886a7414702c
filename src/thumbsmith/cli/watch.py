"""`thumbsmith watch SRC DST`: sync, then follow the changes of a folder."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import click

from thumbsmith.bulk.changes import changes, watched_folder
from thumbsmith.bulk.scan import Scope
from thumbsmith.bulk.sync import without_mass_delete
from thumbsmith.bulk.watch import ReportedFailures, WatchResult, follow
from thumbsmith.cli import workers as early
from thumbsmith.cli.arguments import (
    destination_argument,
    jobs_option,
    json_option,
    keep_orphans_option,
    level_options,
    recipe_option,
    selection_options,
    source_argument,
)
from thumbsmith.cli.command import command
from thumbsmith.cli.outcomes import emit_key, key_message
from thumbsmith.cli.scope import scope_of
from thumbsmith.cli.stopping import stoppable
from thumbsmith.cli.sync import run
from thumbsmith.cli.terminal import Console, emit
from thumbsmith.cli.wording import printable
from thumbsmith.errors import StoreError
from thumbsmith.reconcile.protocol import Options
from thumbsmith.worker import THREADS_PER_WORKER, Workers, usable_cores

INTERRUPTED: Final = 130


@command()
@source_argument
@destination_argument
@recipe_option
@jobs_option
@keep_orphans_option
@click.option(
    "--yes",
    "-y",
    is_flag=True,
    help="Allow deletion of more than half of all thumbnails at the start. Default: refuse it.",
)
@selection_options
@json_option
@level_options
def watch(
    source: str,
    destination: str,
    recipe: str | None,
    jobs: int | None,
    keep_orphans: bool,
    yes: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    as_json: bool,
) -> int:
    """Sync, then update DST whenever SRC changes, until you stop it.

    A new image gets its thumbnails about a second after it is complete.
    Every five minutes, and when changes may have been missed, the command syncs again.
    Ctrl-C ends it within five seconds. It finishes most of the images in progress.

    Examples:
      thumbsmith watch ./photos ./thumbs

      thumbsmith watch ./photos ./thumbs --json
    """
    options = Options(keep_orphans=keep_orphans)
    scope = scope_of(source, destination, recipe, options, include=include, exclude=exclude)
    scope = replace(scope, source=scope.source.as_watched())
    folder = watched_folder(scope.source)
    scope.source.check_reachable()
    console, count = Console(), jobs or usable_cores()
    rescans = _Rescans(scope, console, count, yes, as_json)
    with Workers(count, isolation="shared") as workers, stoppable(console, cut=workers.close) as stopped:
        early.start(workers)
        for each in follow(
            scope,
            changes(folder, stopped, lambda sentence: console.print(printable(sentence))),
            folder=folder,
            renderer=workers,
            threads=THREADS_PER_WORKER * count,
            sync=rescans.sync,
        ):
            _print_result(each, console, rescans.reported, as_json=as_json)
    return INTERRUPTED


@dataclass(slots=True)
class _Rescans:
    """Runs sync at the start and again later. Later, errors are printed and nothing is deleted in bulk."""

    scope: Scope
    console: Console
    jobs: int
    yes: bool
    as_json: bool
    watching: bool = False
    reported: ReportedFailures = field(default_factory=ReportedFailures)

    def sync(self) -> bool | None:
        """Return whether nothing failed, None when interrupted. Raises errors at the start only."""
        self.reported.next_scan()
        try:
            code = self._run()
        except StoreError as error:
            if not self.watching:
                raise
            self.console.print(printable(str(error)))
            return False
        if code == INTERRUPTED:
            return None
        if not self.watching:
            self.watching = True
            _print_watching(self.scope, self.console, as_json=self.as_json)
        return code == 0

    def _run(self) -> int:
        """Sync. If a later sync is refused, for example after another mount on the folder, sync without deletion."""
        if not self.watching:
            return self._sync(self.scope)
        return without_mass_delete(self.scope, self._sync, lambda refusal: self.console.print(printable(str(refusal))))

    def _sync(self, scope: Scope) -> int:
        yes = self.yes and not self.watching
        return run(scope, jobs=self.jobs, yes=yes, as_json=self.as_json, reported=self.reported)


def _print_watching(scope: Scope, console: Console, *, as_json: bool) -> None:
    if as_json:
        emit("watching", source=scope.source.url, destination=scope.destination.url)
    else:
        console.note(f"watching {printable(scope.source.url)}; Ctrl-C to stop")


def _print_result(result: WatchResult, console: Console, reported: ReportedFailures, *, as_json: bool) -> None:
    """Print the outcome of a key like sync; nothing for a key that is no source and was none.

    People see each failure once.
    """
    word = result.word
    if word == "absent":
        return
    if as_json:
        emit_key("orphan" if word == "deleted" else "source", result)
        return
    is_new = reported.is_new(result.key, result.detail if result.error else None)
    if word == "rejected" or is_new:
        console.print(key_message(result))
    elif word not in {"failed", "fresh"}:
        console.say(key_message(result))
