"""Outcomes of keys: their names, counts, and how commands print them."""

from __future__ import annotations

from dataclasses import dataclass, field

from thumbsmith.bulk.sync import SyncResult
from thumbsmith.cli.terminal import emit
from thumbsmith.cli.wording import printable
from thumbsmith.reconcile.converge import Result


@dataclass(slots=True)
class SyncCounts:
    """The results of a run so far: sources by outcome, and objects written and deleted."""

    sources: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("made", "fresh", "rejected", "failed"), 0))
    renditions: int = 0
    deleted: int = 0
    errors: int = 0

    def add(self, result: SyncResult) -> None:
        """Count one key."""
        self.errors += result.error is not None
        if result.word in self.sources and (result.listed or result.outcome):
            self.sources[result.word] += 1
        self.renditions += result.written
        self.deleted += result.deleted


def emit_key(event: str, result: Result) -> None:
    """Print the result for a key as a JSON line."""
    counts = {"renditions": result.written, "deleted": result.deleted}
    emit(event, key=result.key, outcome=result.word, code=result.code, detail=result.detail, **counts)


def key_message(result: Result) -> str:
    """Return the outcome of a key with its reason, for people."""
    code = f"{result.code}, " if result.code else ""
    return f"{result.word} {printable(result.key)}: {code}{printable(result.detail or '')}"
