"""Builds the native decoder for tests: with sanitizers, and with small buffers."""

import shutil
import subprocess
from pathlib import Path

import pytest

from thumbsmith.image import eighth

HERE = Path(__file__).parent
COMPILER = shutil.which("cc")

needs_decoder = pytest.mark.skipif(not eighth.is_available(), reason="the native decoder was not built")

# Lanes in files of any size, and windows that are filled again after a few blocks.
SMALL = ("-DMIN_BYTES_FOR_LANES=40", "-DWINDOW_BYTES=2400", "-DROUNDS=7")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def build(target: Path, *options: str, compiler: str | None = COMPILER) -> Path:
    """Compile the decoder, and what the options name. Skips the test where there is no such compiler or library."""
    if compiler is None:
        pytest.skip("there is no C compiler")
    includes, source = f"-I{eighth.FOLDER}", eighth.FOLDER / "eighth.c"
    command = [*compiler.split(), "-std=c11", "-O2", "-g", includes, "-o", str(target), str(source), *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if "cannot find" in done.stderr or "unable to find" in done.stderr:
        pytest.skip(f"the compiler has no library for this: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    return target
