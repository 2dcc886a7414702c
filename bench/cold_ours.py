"""The first thumbnail with this package, imported in the order of the Lambda handler."""

from __future__ import annotations

import sys

from thumbsmith.worker.launch import Launched

LAUNCHED = Launched()  # first, so that it imports Pillow while this process imports the rest

from thumbsmith import Recipe, converge, open_store  # noqa: E402 - as above
from thumbsmith.worker import shared  # noqa: E402 - as above


def main(bucket: str, key: str, destination: str) -> None:
    """Make the default recipe's three thumbnails and the manifest of one photograph."""
    shared().start(LAUNCHED)
    source, thumbnails = open_store(f"s3://{bucket}/photos"), open_store(f"s3://{bucket}/{destination}")
    outcome = converge(key, source, thumbnails, Recipe.default())
    if outcome.status != "made":
        raise SystemExit(f"{outcome}")


if __name__ == "__main__":
    main(*sys.argv[1:])
