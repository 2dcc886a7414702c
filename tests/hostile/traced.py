"""Renders the files that standard input names through real workers: a program to run under strace."""

import sys
from contextlib import suppress
from pathlib import Path

from thumbsmith.errors import ThumbsmithError
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Recipe
from thumbsmith.worker import Workers

RECIPE = Recipe.loads(
    '[variants.a]\nwidth = 48\nheight = 48\nformats = ["jpeg", "png", "webp", "avif"]\n'
    '[variants.film]\nwidth = 24\nheight = 24\nformats = ["webp"]\nanimation = "keep"'
)


def main() -> None:
    """Render them, with any outcome."""
    with Workers(count=1, isolation=sys.argv[1]) as workers:
        for name in sys.stdin.read().splitlines():
            with suppress(ThumbsmithError):
                workers.render(BytesReader(Path(name).read_bytes()), RECIPE)


if __name__ == "__main__":
    main()
