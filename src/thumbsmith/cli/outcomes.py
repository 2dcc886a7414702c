"""Outcomes of keys: their names, counts, and how commands print them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from thumbsmith.bulk.stores import SyncCounts
from thumbsmith.bulk.sync import SyncResult
from thumbsmith.bulk.watch import ReportedFailures
from thumbsmith.cli.terminal import Console, emit, styled
from thumbsmith.cli.wording import format_codes, ignored_words, plural, printable
from thumbsmith.reconcile.converge import Result

# The colors of outcomes.
COLORS: Final = {"made": "green", "fresh": "bright_black", "rejected": "magenta", "failed": "red", "deleted": "yellow"}

# People see this number of rejections for each reason, and of failures, of one run. With -v they see all.
MAX_REJECTIONS: Final = 10
MAX_FAILURES: Final = 100


def counts_sentence(counts: SyncCounts) -> str:
    """Return the counts for people, such as "2 sources: 1 made, 0 fresh, 1 rejected (1 empty); 3 other files"."""
    words = []
    for word, count in counts.sources.items():
        codes = f" ({format_codes(counts.codes)})" if word == "rejected" else ""
        words += [f"{count:,} {word}{codes}"] if count or word in {"made", "fresh"} else []
    parts = [f"{plural(sum(counts.sources.values()), 'source')}: {', '.join(words)}"]
    parts += [ignored_words(counts.ignored)] if counts.ignored else []
    parts += [f"{plural(counts.renditions, 'thumbnail')} written"] if counts.renditions else []
    parts += [f"{plural(counts.deleted, 'object')} deleted"] if counts.deleted else []
    return "; ".join(parts)


@dataclass(slots=True)
class Reporter:
    """Prints the outcome of keys for people: new failures and rejections, up to a number; all outcomes with -v."""

    console: Console
    reported: ReportedFailures
    _counts: Counter[str] = field(default_factory=Counter)

    def add(self, result: SyncResult) -> None:
        """Print the outcome of one key, unless enough of this kind were printed."""
        is_new = self.reported.is_new(result.key, result.detail if result.error else None)
        if self.console.verbose:
            self.console.print(key_message(result))
        elif is_new or _is_new_rejection(result):
            kind = "failed" if result.error else str(result.code)
            self._counts[kind] += 1
            if self._counts[kind] <= (MAX_FAILURES if result.error else MAX_REJECTIONS):
                self.console.print(key_message(result))

    def finish(self) -> None:
        """Print how many outcomes were not printed, by kind."""
        for kind, count in self._counts.items():
            most = MAX_FAILURES if kind == "failed" else MAX_REJECTIONS
            if count > most:
                what = "failed" if kind == "failed" else f"rejected: {kind}"
                self.console.print(f"... and {count - most:,} more {what} (-v prints each)")


def _is_new_rejection(result: SyncResult) -> bool:
    """Return whether a manifest just recorded a rejection, or none can record it."""
    outcome = result.outcome
    if outcome is None or outcome.status != "rejected" or result.already_settled:
        return False
    return outcome.recorded or not outcome.manifest


def emit_key(event: str, result: Result) -> None:
    """Print the result for a key as a JSON line."""
    counts = {"renditions": result.written, "deleted": result.deleted}
    emit(event, key=result.key, outcome=result.word, code=result.code, detail=result.detail, **counts)


def key_message(result: Result) -> str:
    """Return the outcome of a key with its reason, or with what was done, for people."""
    word = styled(result.word, COLORS.get(result.word, "yellow"))
    code = f"{result.code}, " if result.code else ""
    done = [f"{plural(result.written, 'thumbnail')} written"] if result.written else []
    done += [f"{plural(result.deleted, 'object')} deleted"] if result.deleted else []
    why = f"{code}{printable(result.detail)}" if result.detail else code.removesuffix(", ") or ", ".join(done)
    return f"{word} {printable(result.key)}{f': {why}' if why else ''}"
