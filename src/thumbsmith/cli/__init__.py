"""The command line: one file a command, each thin over the same engine."""

from __future__ import annotations

import os
import sys

from thumbsmith.errors import ThumbsmithError


def main() -> None:
    """Run the command that the arguments name and exit with its code.

    0: the destination agrees with the source. 1: something failed and may be tried again. 2: usage, recipe or refused.
    130: interrupted.
    """
    from thumbsmith.cli.app import app  # noqa: PLC0415 - `import thumbsmith.cli` costs nothing until a command runs

    try:
        app()
    except ThumbsmithError as error:
        print(f"thumbsmith: {error}", file=sys.stderr)  # noqa: T201 - the one place where an error becomes a sentence
        sys.exit(1 if error.transient else 2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the last flush does not fail again
        sys.exit(1)
