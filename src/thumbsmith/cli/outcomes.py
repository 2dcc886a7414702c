"""Outcomes of keys: their names, counts, and how commands print them."""

from __future__ import annotations

from dataclasses import dataclass, field

from thumbsmith.bulk import sync as engine
from thumbsmith.cli.terminal import emit, printable
from thumbsmith.reconcile.effects import Outcome


def outcome_word(outcome: Outcome | None, error: Exception | None) -> str:
    """Return the outcome of a key as output names it; "absent" for a key that is neither a source nor was one."""
    return "failed" if error else outcome.status if outcome else "absent"


@dataclass(slots=True)
class SyncCounts:
    """The results of a run so far: sources by outcome, and objects written and deleted."""

    sources: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("made", "fresh", "rejected", "failed"), 0))
    renditions: int = 0
    deleted: int = 0
    errors: int = 0

    def add(self, done: engine.Done) -> str:
        """Count one key; return its outcome."""
        word = outcome_word(done.outcome, done.error)
        self.errors += done.error is not None
        if word in self.sources and (done.listed or done.outcome):
            self.sources[word] += 1
        if done.outcome:
            self.renditions += done.outcome.written
            self.deleted += done.outcome.deleted
        return word


def emit_key(event: str, key: str, word: str, outcome: Outcome | None, detail: str | None) -> None:
    """Print the outcome of a key as a JSON line."""
    written, deleted = (outcome.written, outcome.deleted) if outcome else (0, 0)
    code = outcome.code if outcome else None
    emit(event, key=key, outcome=word, code=code, detail=detail, renditions=written, deleted=deleted)


def key_message(key: str, word: str, outcome: Outcome | None, detail: str | None) -> str:
    """Return the outcome of a key with its reason, for people."""
    code = f"{outcome.code}, " if outcome and outcome.code else ""
    return f"{word} {printable(key)}: {code}{printable(detail or '')}"
