"""What was sent, remembered from run to run: a run that was stopped goes on where it was.

It is a file in the folder for caches. Without it nothing is lost: what is missing is sent once more, and whoever gets
a key a second time finds it right.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from thumbsmith.bulk.join import PendingKey, encoded
from thumbsmith.lifetime import Closing

# A source that is to be made by one recipe is sent so often, and then no more: with a queue that gives each message so
# many tries, that is as often as it is tried, whatever happens.
MAX_SENDS: Final = 3

# As long as SQS may keep a message: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide
RETENTION: Final = 14 * 24 * 3600

_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS sent_1 (
    key BLOB PRIMARY KEY, version TEXT NOT NULL, sends INTEGER NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Classified:
    """Keys that are to be sent, the number of those in flight, and of those that were sent often enough."""

    send: list[PendingKey]
    in_flight: int
    given_up: int


class SentLog(Closing):
    """What was sent to one queue for one recipe, a fingerprint. For one thread; must be closed."""

    def __init__(self, path: Path | None, recipe: str) -> None:
        self._recipe = recipe
        self._database = _opened(path)

    def classify(self, keys: Sequence[PendingKey], *, empty: bool) -> Classified:
        """Tell what is to be sent of these. `empty`: nothing is in the queue, so that nothing is in flight."""
        send, in_flight, given_up, now = [], 0, 0, time.time()
        for todo in keys:
            version, sends, at = self._row(todo.key)
            if version != self._version(todo):
                send.append(todo)
            elif not empty and now - at < RETENTION:
                in_flight += 1
            elif sends >= MAX_SENDS:
                given_up += 1
            else:
                send.append(todo)
        return Classified(send, in_flight, given_up)

    def note(self, keys: Iterable[PendingKey]) -> None:
        """Take note that these were sent, at once and for good."""
        rows = [(encoded(each.key), self._version(each), time.time()) for each in keys]
        statement = (
            "INSERT INTO sent_1 VALUES (?1, ?2, 1, ?3) ON CONFLICT (key) DO UPDATE SET"
            " sends = CASE WHEN version = ?2 THEN sends + 1 ELSE 1 END, version = ?2, at = ?3"
        )
        with contextlib.suppress(sqlite3.Error):
            self._database.execute("BEGIN")
            self._database.executemany(statement, rows)
            self._database.execute("COMMIT")

    def forget(self) -> None:
        """Forget all: everything is right, or its messages were deleted."""
        with contextlib.suppress(sqlite3.Error):
            self._database.execute("DELETE FROM sent_1")

    def close(self) -> None:
        """Let go of the file. Safe to repeat."""
        self._database.close()

    def _row(self, key: str) -> tuple[str, int, float]:
        with contextlib.suppress(sqlite3.Error):
            row = self._database.execute("SELECT version, sends, at FROM sent_1 WHERE key = ?", (encoded(key),))
            for version, sends, at in row:
                return version, sends, at
        return "", 0, 0.0

    def _version(self, todo: PendingKey) -> str:
        return f"{self._recipe} {todo.etag}" if todo.listed else f"{self._recipe} gone"


def _opened(path: Path | None) -> sqlite3.Connection:
    """Return the ledger in this file; where none can be, an empty one of this run's own."""
    if path is not None:
        with contextlib.suppress(OSError, sqlite3.Error):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return _made(str(path))
    return _made(":memory:")


def _made(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.executescript(_SCHEMA)
    except sqlite3.Error:
        database.close()
        raise
    return database
