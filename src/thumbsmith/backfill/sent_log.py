"""The keys that were sent to a queue, recorded from run to run: an interrupted backfill continues where it stopped.

It is a file in the cache folder. Losing it is harmless: keys that still need work are sent once more, and a function
that receives a key twice finds it fresh.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from thumbsmith.bulk.scan import PendingKey, encode_key
from thumbsmith.lifetime import Closing

# The number of sends for one version of a source and one recipe. The queue may deliver each message several times, so
# this limits the attempts.
MAX_SENDS: Final = 3

# The longest time for which SQS stores a message: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide
RETENTION_SECONDS: Final = 14 * 24 * 3600

_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS sent_1 (
    key BLOB PRIMARY KEY, version TEXT NOT NULL, sends INTEGER NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Classified:
    """The keys to send, the number of keys in flight, and the number of those that were sent too often already."""

    to_send: list[PendingKey]
    in_flight: int
    given_up: int


class SentLog(Closing):
    """The keys sent to one queue for one recipe, given as fingerprint. Use it in one thread; close it at the end."""

    def __init__(self, path: Path | None, recipe: str) -> None:
        self._recipe = recipe
        self._database = _open(path)

    def classify(self, keys: Sequence[PendingKey], *, empty: bool) -> Classified:
        """Return which of these keys to send. `empty` says that the queue is empty: then no key is in flight."""
        to_send, in_flight, given_up, now = [], 0, 0, time.time()
        for pending in keys:
            version, sends, at = self._row(pending.key)
            if version != self._version(pending):
                to_send.append(pending)
            elif not empty and now - at < RETENTION_SECONDS:
                in_flight += 1
            elif sends >= MAX_SENDS:
                given_up += 1
            else:
                to_send.append(pending)
        return Classified(to_send, in_flight, given_up)

    def add(self, keys: Iterable[PendingKey]) -> None:
        """Record that these keys were sent now."""
        rows = [(encode_key(each.key), self._version(each), time.time()) for each in keys]
        statement = (
            "INSERT INTO sent_1 VALUES (?, ?, 1, ?) ON CONFLICT (key) DO UPDATE SET version = excluded.version,"
            " sends = CASE WHEN version = excluded.version THEN sends + 1 ELSE 1 END, at = excluded.at"
        )
        with contextlib.suppress(sqlite3.Error):
            self._database.execute("BEGIN")
            self._database.executemany(statement, rows)
            self._database.execute("COMMIT")

    def clear(self) -> None:
        """Delete all records: all keys are done, or their messages were deleted."""
        with contextlib.suppress(sqlite3.Error):
            self._database.execute("DELETE FROM sent_1")

    def close(self) -> None:
        """Close the file. May be called again."""
        self._database.close()

    def _row(self, key: str) -> tuple[str, int, float]:
        """Return version, number of sends, and time of the last send in epoch seconds."""
        with contextlib.suppress(sqlite3.Error):
            row = self._database.execute("SELECT version, sends, at FROM sent_1 WHERE key = ?", (encode_key(key),))
            for version, sends, at in row:
                return version, sends, at
        return "", 0, 0.0

    def _version(self, pending: PendingKey) -> str:
        return f"{self._recipe} {pending.etag}" if pending.listed else f"{self._recipe} gone"


def _open(path: Path | None) -> sqlite3.Connection:
    """Return the database in this file. If the file cannot be used, return an empty one in memory."""
    if path is not None:
        with contextlib.suppress(OSError, sqlite3.Error):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return _connect(str(path))
    return _connect(":memory:")


def _connect(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.executescript(_SCHEMA)
    except sqlite3.Error:
        database.close()
        raise
    return database
