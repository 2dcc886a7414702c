"""A sync that kills itself, as `kill -9` would, before or after one chosen call of its destination store.

python -m tests.faults.dying SRC DST CALL NUMBER before|after
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thumbsmith.bulk.scan import Scope
from thumbsmith.cli.sync import run
from thumbsmith.recipe import Recipe
from thumbsmith.store import Store, open_store


class Dying:
    """A store that kills the process before or after the chosen call, the last one of `calls`.

    A call of `put` is also one of `put_last`.
    """

    def __init__(self, store: Store, call: str, calls: Iterator[int], moment: str) -> None:
        self._store, self._call, self._calls, self._moment = store, call, calls, moment

    def __getattr__(self, name: str):
        found = getattr(self._store, name)
        if name == "as_destination":
            return lambda: Dying(found(), self._call, self._calls, self._moment)
        return self._counted(found) if name.removesuffix("_last") == self._call else found

    @contextmanager
    def for_one_key(self):
        """Yield the view of the store for one key, in which the same calls count."""
        with self._store.for_one_key() as store:
            yield Dying(store, self._call, self._calls, self._moment)

    def _counted(self, call):
        def counted(*arguments, **options):
            is_last = next(self._calls, 0) == 1
            if is_last and self._moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*arguments, **options)
            if is_last:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return counted


def main() -> None:
    """Sync, and die at the chosen call."""
    source, destination, call, number, moment = sys.argv[1:]
    dying = Dying(open_store(destination).as_destination(), call, iter(range(int(number), 0, -1)), moment)
    recipe = Recipe.load(Path(destination).parent / "thumbsmith.toml")
    sys.exit(run(Scope(source=open_store(source), destination=dying, recipe=recipe), jobs=2, yes=True))


if __name__ == "__main__":
    main()
