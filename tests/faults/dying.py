"""A sync that kills itself, as `kill -9` would, around one chosen call of its destination store.

python -m tests.faults.dying SRC DST CALL NUMBER before|after
"""

import os
import signal
import sys
from pathlib import Path

from thumbsmith.bulk.scan import Scope
from thumbsmith.cli.sync import run
from thumbsmith.recipe import Recipe
from thumbsmith.store import Store, open_store


class Dying:
    """A store in whose use the process ends: before or after the chosen call is carried out."""

    def __init__(self, store: Store, call: str, number: int, moment: str) -> None:
        self._store, self._call, self._left, self._moment = store, call, number, moment

    def __getattr__(self, name: str):
        found = getattr(self._store, name)
        if name == "as_destination":
            return lambda: Dying(found(), self._call, self._left, self._moment)
        return self._counted(found) if name == self._call else found

    def _counted(self, carry_out):
        def counted(*arguments, **options):
            self._left -= 1
            if self._left == 0 and self._moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            answer = carry_out(*arguments, **options)
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return counted


def main() -> None:
    """Sync, and die on the way."""
    source, destination, call, number, moment = sys.argv[1:]
    dying = Dying(open_store(destination).as_destination(), call, int(number), moment)
    recipe = Recipe.load(Path(destination).parent / "thumbsmith.toml")
    sys.exit(run(Scope(source=open_store(source), destination=dying, recipe=recipe), jobs=2, yes=True))


if __name__ == "__main__":
    main()
