"""What docs/migrate.md says is what happens."""

import re
import shlex
from pathlib import Path

from tests.cli.command import Command
from tests.cli.conftest import thumbsmith
from tests.migrate.test_firebase import SHOP
from thumbsmith.cli.init import KINDS

__all__ = ["thumbsmith"]

PAGE = (Path(__file__).parents[2] / "docs" / "migrate.md").read_text()


def test_the_commands_run(thumbsmith: Command):
    """Each command of the page runs as it is written."""
    Path("storage-resize-images.env").write_text(SHOP)
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines():
        ran = thumbsmith(*shlex.split(line)[1:])
        assert ran.code == 0, ran.err


def test_every_kind_is_explained():
    """The table names each kind."""
    assert re.findall(r"(?m)^\| `([a-z-]+)` \| (?:The|Requests)", PAGE) == list(KINDS)
