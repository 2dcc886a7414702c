"""What happens in a folder, as the system tells it: hints at keys, and whether some may have gone unseen."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from thumbsmith.errors import StoreError, UsageError
from thumbsmith.store import Store

# Hints are handed on at least this often, in milliseconds; those of a lasting burst together, after twice the time.
TICK: Final = 100

# Linux drops what a queue of 16,384 events has no room for (inotify(7), max_queued_events), and watchfiles does not
# pass on that it did (https://github.com/samuelcolvin/watchfiles/issues/348). To write a file takes 3 to 10 events,
# so with this many paths at once some may be missing; new folders among them, in which nothing would be seen.
BURST: Final = 1024

# Seconds until a watch that broke, or could not be set, is set again.
PAUSE: Final = 5.0

# Seconds for which the folder may be missing, as one is that is being exchanged for another.
GRACE: Final = 1.0


def watched_folder(source: Store) -> str:
    """Return the absolute path of a source that is a folder, with its links. Raises UsageError for any other."""
    if source.local_root is None:
        raise UsageError(f"{source.url}: only a folder can be watched")
    return source.local_root


def changes(
    root: str, stop: Callable[[], bool], told: Callable[[str], object] = lambda _: None
) -> Iterator[frozenset[str] | None]:
    """Yield, again and again until `stop`, the keys that something happened to: of files and folders, mostly none.

    None says that changes until now may have gone unseen. So it comes first, and whenever the watch has to be set anew:
    also where a link in the path is switched, or another folder comes in its place. Where no watch can be set, None
    comes every PAUSE seconds, and `told` gets one sentence that says so. Raises StoreError, not transient, when the
    folder is gone.
    """
    reported = ""
    while not stop():
        reason = ""
        try:
            yield from _watched(root, stop)
        except (
            OSError,
            RuntimeError,
            UnicodeError,
        ) as error:  # what watchfiles raises; of a name that is not UTF-8, too
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        if reason:
            if reason != reported:
                told(f"{root}: changes cannot be watched ({reason}): all of it is looked at every {PAUSE:.0f} seconds")
            _identity(root)
            yield None
            yield from _pause(stop)
        reported = reason


def _watched(root: str, stop: Callable[[], bool]) -> Iterator[frozenset[str] | None]:
    """Set a watch; yield None, then keys, for as long as it tells all. Raises what watchfiles does, StoreError."""
    from watchfiles import Change, watch  # noqa: PLC0415 - it loads an event loop that few commands need

    identity = _identity(root)
    real = os.path.realpath(root)
    ticks = watch(
        real,
        watch_filter=None,
        step=TICK // 4,
        debounce=2 * TICK,
        rust_timeout=TICK,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    )
    next(ticks)
    yield None
    for changed in ticks:
        # A folder that is made in the place of one that was removed can have the same number.
        if stop() or _identity(root) != identity or (Change.deleted, real) in changed or len(changed) >= BURST:
            return
        yield _keys(real, (path for _, path in changed))


def _keys(root: str, paths: Iterable[str]) -> frozenset[str]:
    """Return the keys of paths; of one that leads through a symbolic link, the key of the file itself.

    watchfiles follows links, and of two ways to one folder the system reports events by one only.
    What lies outside of the root has no key.
    """
    real: dict[str, str] = {}
    keys = set()
    for path in paths:
        folder, _, name = path.rpartition("/")
        if folder not in real:
            real[folder] = os.path.realpath(folder)
        place = f"{real[folder]}/{name}"
        if place.startswith(f"{root}/"):
            keys.add(place.removeprefix(f"{root}/"))
    return frozenset(keys)


def _identity(root: str) -> tuple[int, int]:
    """Return what tells this folder from another one at the same path. Raises StoreError where there is none."""
    deadline = time.monotonic() + GRACE
    while True:
        try:
            found = Path(root).stat()
        except OSError as error:
            if time.monotonic() > deadline:
                raise StoreError(f"{root}: {error.strerror}", transient=False) from error
            time.sleep(TICK / 1000)
        else:
            return found.st_dev, found.st_ino


def _pause(stop: Callable[[], bool]) -> Iterator[frozenset[str]]:
    until = time.monotonic() + PAUSE
    while time.monotonic() < until and not stop():
        yield frozenset()
        time.sleep(TICK / 1000)
