"""`thumbsmith watch SRC DST`: sync, then keep the destination right as the folder changes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

import typer
from rich.console import Console

from thumbsmith.bulk.changes import changes, watched_folder
from thumbsmith.bulk.scan import Scope
from thumbsmith.bulk.watch import Reported, WatchResult, follow
from thumbsmith.cli.arguments import Destination, Jobs, Json, KeepOrphans, RecipeOption, Source, scope_of
from thumbsmith.cli.sync import THREADS_A_JOB, run
from thumbsmith.cli.terminal import emit, people, shown, stoppable
from thumbsmith.errors import StoreError, UsageError
from thumbsmith.reconcile.effects import Options
from thumbsmith.worker import Workers, usable_cores

INTERRUPTED = 130


def watch(
    source: Source,
    destination: Destination,
    recipe: RecipeOption = None,
    jobs: Jobs = None,
    keep_orphans: KeepOrphans = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", metavar="", help="At the start, delete even more than half of all thumbnails."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Sync, then make DST right whenever something changes in SRC, until stopped.

    A new picture has its thumbnails about a second after it is written whole.
    Every five minutes, and when changes may have gone unseen, everything is looked at again.
    Ctrl-C ends it within five seconds; most pictures that have begun are finished by then.

    Examples:
      thumbsmith watch ./photos ./thumbs

      thumbsmith watch ./photos ./thumbs --json
    """
    scope = scope_of(source, destination, recipe, Options(keep_orphans=keep_orphans))
    scope = replace(scope, source=scope.source.as_watched())
    folder = watched_folder(scope.source)
    scope.source.reachable()
    console, count = people(), jobs or usable_cores()
    rounds = _Rounds(scope, console, count, yes, as_json)
    with Workers(count) as workers, stoppable(console, cut=workers.close) as stopped:
        for each in follow(
            scope,
            changes(folder, stopped, lambda sentence: console.print(shown(sentence))),
            folder=folder,
            renderer=workers,
            threads=THREADS_A_JOB * count,
            sync=rounds.sync,
        ):
            _tell(each, console, rounds.reported, as_json=as_json)
    raise typer.Exit(INTERRUPTED)


@dataclass(slots=True)
class _Rounds:
    """Syncs everything, again and again; the first time it is as if the user had asked for sync."""

    scope: Scope
    console: Console
    jobs: int
    yes: bool
    as_json: bool
    watching: bool = False
    reported: Reported = field(default_factory=Reported)

    def sync(self) -> bool | None:
        """Return whether nothing failed, None when interrupted. What stops the first time it raises, later it tells."""
        self.reported.next_round()
        try:
            code = self._run()
        except StoreError as error:
            if not self.watching:
                raise
            self.console.print(shown(str(error)))
            return False
        if code == INTERRUPTED:
            return None
        if not self.watching:
            self.watching = True
            _tell_watching(self.scope, self.console, as_json=self.as_json)
        return code == 0

    def _run(self) -> int:
        """Sync. Where it is refused later on, as of a folder that something else was mounted on, delete nothing."""
        yes = self.yes and not self.watching
        try:
            return self._sync(self.scope, yes=yes)
        except UsageError as refusal:
            if not self.watching:
                raise
            self.console.print(shown(str(refusal)))
            options = replace(self.scope.options, keep_orphans=True)
            return self._sync(replace(self.scope, options=options), yes=False)

    def _sync(self, scope: Scope, *, yes: bool) -> int:
        return run(scope, jobs=self.jobs, yes=yes, as_json=self.as_json, reported=self.reported)


def _tell_watching(scope: Scope, console: Console, *, as_json: bool) -> None:
    if as_json:
        emit("watching", source=scope.source.url, destination=scope.destination.url)
    else:
        console.print(f"watching {shown(scope.source.url)}; Ctrl-C to stop")


def _tell(followed: WatchResult, console: Console, reported: Reported, *, as_json: bool) -> None:
    """Print what became of a key, as sync does; nothing for a key that was no source and is none.

    People see each failure once.
    """
    key, error, outcome = followed.key, followed.error, followed.outcome
    word = "failed" if error else outcome.status if outcome else "absent"
    if word == "absent":
        return
    code = outcome.code if outcome else None
    detail = error.about(key) if error else outcome.detail if outcome else None
    written, deleted = (outcome.written, outcome.deleted) if outcome else (0, 0)
    if as_json:
        event = "orphan" if word == "deleted" else "source"
        emit(event, key=key, outcome=word, code=code, detail=detail, renditions=written, deleted=deleted)
        return
    is_new = reported.is_new(key, detail if error else None)
    if word == "rejected" or is_new:
        console.print(f"{word} {shown(key)}: {code + ', ' if code else ''}{shown(detail or '')}")
    elif word not in {"failed", "fresh"}:
        typer.echo(f"{word} {shown(key)}: {written:,} thumbnails written, {deleted:,} objects deleted")
