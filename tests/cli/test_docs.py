"""What docs/commands.md says is what happens."""

import re
import subprocess
import sys
from pathlib import Path

from tests.pictures import picture

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()


def test_the_commands_run_and_write_what_they_say(tmp_path: Path):
    """Each command of the page runs in a shell as it is written, and the files in its comments exist."""
    (tmp_path / "photos").mkdir()
    for name in ("photo.jpg", "photos/a.jpg"):
        (tmp_path / name).write_bytes(picture())
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines():
        script = line.replace("thumbsmith", f"{sys.executable} -m thumbsmith", 1)
        subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True, timeout=300, capture_output=True)
    for path in ("photo.jpg.256.webp", "photo.jpg.300x200.jpg", "thumbs/a.jpg.256.webp", "thumbs/photo.256.webp"):
        assert (tmp_path / path).is_file()
    assert (tmp_path / "thumb.jpg").read_bytes().startswith(b"\xff\xd8")
