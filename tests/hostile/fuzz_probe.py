"""Atheris on the probe: for any bytes it returns a Probe or raises Rejected.

python -m tests.hostile.fuzz_probe FOLDER -max_total_time=600     begins with the files in FOLDER
"""

import sys
from contextlib import suppress

import atheris

with atheris.instrument_imports(include=["thumbsmith"]):
    from thumbsmith.errors import Rejected
    from thumbsmith.image.limits import check_limits, check_memory
    from thumbsmith.image.probe import probe
    from thumbsmith.reader import BytesReader
    from thumbsmith.recipe import Recipe

RECIPE = Recipe.default()


def once(data: bytes) -> None:
    """Probe the data and check the limits. Any exception but Rejected is a finding."""
    with suppress(Rejected):
        header = probe(BytesReader(data))
        check_limits(header, RECIPE.limits)
        check_memory(header, RECIPE)


if __name__ == "__main__":
    atheris.Setup(sys.argv, once)
    atheris.Fuzz()
