"""Changes in a folder, as the operating system reports them: keys, and whether changes may have been missed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from thumbsmith.errors import StoreError, UsageError
from thumbsmith.store import Store

# Changes are passed on at least this often. Those of a long burst come together, after twice the time.
TICK_MILLISECONDS: Final = 100

# Linux drops events if a queue of 16,384 is full (inotify(7), max_queued_events), and watchfiles does not report it
# (https://github.com/samuelcolvin/watchfiles/issues/348). Writing one file causes 3 to 10 events. So with this many
# paths in one report, events may be missing. Among them may be new folders, which would then not be watched.
BURST_PATHS: Final = 1024

# A watch that ended, or could not be started, is started again after this time.
RESTART_SECONDS: Final = 5.0

# The folder may be missing for this long, for example while it is replaced by another.
GRACE_SECONDS: Final = 1.0


def watched_folder(source: Store) -> str:
    """Return the absolute path of a folder, with its links. Raises UsageError if the source is no folder."""
    if source.local_root is None:
        raise UsageError(f"{source.url}: only a folder can be watched")
    return source.local_root


def changes(
    root: str, stop: Callable[[], bool], on_problem: Callable[[str], object] = lambda _: None
) -> Iterator[frozenset[str] | None]:
    """Yield the keys of files and folders that changed, again and again until `stop`. Most reports are empty.

    None says that changes may have been missed. It comes first, and each time the watch is started again: also if a
    link in the path changes, or another folder replaces this one. If no watch is possible, None comes every
    RESTART_SECONDS, and `on_problem` receives one sentence about it. Raises StoreError, not transient, if the folder
    no longer exists.
    """
    reported = ""
    while not stop():
        reason = ""
        try:
            yield from _watched(root, stop)
        except (OSError, RuntimeError, UnicodeError) as error:  # from watchfiles; UnicodeError for names not in UTF-8
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        if reason:
            if reason != reported:
                on_problem(
                    f"{root}: changes cannot be watched ({reason}): all of it is scanned every"
                    f" {RESTART_SECONDS:.0f} seconds"
                )
            _identity(root)
            yield None
            yield from _pause(stop)
        reported = reason


def _watched(root: str, stop: Callable[[], bool]) -> Iterator[frozenset[str] | None]:
    """Start a watch; yield None, then keys, while the watch is complete. Raises what watchfiles does, StoreError."""
    from watchfiles import Change, watch  # noqa: PLC0415 - it loads an event loop that few commands need

    identity = _identity(root)
    real = os.path.realpath(root)
    reports = watch(
        real,
        watch_filter=None,
        step=TICK_MILLISECONDS // 4,
        debounce=2 * TICK_MILLISECONDS,
        rust_timeout=TICK_MILLISECONDS,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    )
    next(reports)
    yield None
    for report in reports:
        # The identity alone is not enough: a new folder can get the inode number of a deleted one.
        if stop() or _identity(root) != identity or (Change.deleted, real) in report or len(report) >= BURST_PATHS:
            return
        yield _keys(real, (path for _, path in report))


def _keys(root: str, paths: Iterable[str]) -> frozenset[str]:
    """Return the keys of paths. A path through a symbolic link gives the key of the file itself.

    watchfiles follows links, and the system reports events of a folder under one of its paths only. A path outside the
    root has no key.
    """
    real_folders: dict[str, str] = {}
    keys = set()
    for path in paths:
        folder, _, name = path.rpartition("/")
        if folder not in real_folders:
            real_folders[folder] = os.path.realpath(folder)
        real = f"{real_folders[folder]}/{name}"
        if real.startswith(f"{root}/"):
            keys.add(real.removeprefix(f"{root}/"))
    return frozenset(keys)


def _identity(root: str) -> tuple[int, int]:
    """Return the device and inode numbers of the folder. Raises StoreError if there is none."""
    deadline = time.monotonic() + GRACE_SECONDS
    while True:
        try:
            found = Path(root).stat()
        except OSError as error:
            if time.monotonic() > deadline:
                raise StoreError(f"{root}: {error.strerror}", transient=False) from error
            time.sleep(TICK_MILLISECONDS / 1000)
        else:
            return found.st_dev, found.st_ino


def _pause(stop: Callable[[], bool]) -> Iterator[frozenset[str]]:
    end = time.monotonic() + RESTART_SECONDS
    while time.monotonic() < end and not stop():
        yield frozenset()
        time.sleep(TICK_MILLISECONDS / 1000)
