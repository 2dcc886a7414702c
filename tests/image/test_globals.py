"""`render` in a host program leaves its settings alone, and they do not change the pictures."""

import subprocess
import sys

import pytest

# Runs in a process of its own: takes the settings before and after; each picture of a test file is made in threads.
PROGRAM = """
import decimal, gc, io, locale, logging, os, random, signal, sys, threading, warnings
from PIL import AvifImagePlugin, Image, ImageFile, TiffImagePlugin
from _libvips import lib
lib.vips_init(b"host")
lib.vips_concurrency_set(3)
{first}
def state():
    return {{
        "bombs": Image.MAX_IMAGE_PIXELS, "truncated": ImageFile.LOAD_TRUNCATED_IMAGES, "block": ImageFile.MAXBLOCK,
        "libtiff": TiffImagePlugin.READ_LIBTIFF, "threads": AvifImagePlugin.DEFAULT_MAX_THREADS,
        "plugins": (list(Image.ID), sorted(Image.OPEN), sorted(Image.SAVE), Image._initialized),
        "filters": list(warnings.filters), "warn": warnings.showwarning, "once": dict(warnings.onceregistry),
        "signals": [signal.getsignal(n) for n in signal.valid_signals()],
        "locale": locale.setlocale(locale.LC_ALL), "umask": (os.umask(0o22), os.umask(0o22))[1], "cwd": os.getcwd(),
        "path": (list(sys.path), list(sys.meta_path), list(sys.path_hooks)), "environment": dict(os.environ),
        "random": random.getstate(), "decimal": repr(decimal.getcontext()), "gc": (gc.isenabled(), gc.get_threshold()),
        "handlers": list(logging.root.handlers), "level": logging.root.level, "running": threading.enumerate(),
        "limits": (sys.getrecursionlimit(), sys.getswitchinterval()), "hooks": (sys.excepthook, sys.displayhook),
        "vips": (lib.vips_concurrency_get(), lib.vips_cache_get_max(), lib.vips_cache_get_max_mem()),
        "buffering": (sys.stdout.line_buffering, sys.stderr.line_buffering),
    }}
before = state()
from thumbsmith import Recipe, render
recipe = Recipe.loads('[variants.a]\\nwidth = 9\\nformats = ["webp", "jpeg", "png", "avif"]')
def file(kind, size=(120, 90), **options):
    made = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(made, kind, **options)
    return made.getvalue()
from thumbsmith.image import decode_heic, pipeline, vips
assert state() == before, "importing changes something"
from thumbsmith.errors import Rejected
files = [file(kind) for kind in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "AVIF")]
files.append(file("TIFF", compression="tiff_lzw"))
{then}
before = {{**state(), "plugins": None}}
def say(line):
    sys.stdout.write(line + "\\n")  # print() writes the end of a line by itself, and threads mix them
def work():
    for data in files:
        say(" ".join(str(len(each.data)) for each in render(data, recipe)))
    for data in files[:2]:
        try:
            render(data[: len(data) // 2], recipe)
            say("a part is missing")
        except Rejected as rejected:
            say(rejected.code)
if {threads}:
    sys.setswitchinterval(1e-5)
    before = {{**state(), "plugins": None}}
    workers = [threading.Thread(target=work) for _ in range({threads})]
    [each.start() for each in workers]; [each.join() for each in workers]
else:
    work()
after = {{**state(), "plugins": None}}
changed = [name for name in before if before[name] != after[name]]
print("changed:", *changed)
"""


def _told(first: str = "", threads: int = 0, then: str = "") -> list[str]:
    code = PROGRAM.format(first=first, threads=threads, then=then)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def usual() -> list[str]:
    """Return the output for a host with the default settings of Python and Pillow."""
    return _told()


def test_settings_of_the_host_stay_unchanged(usual: list[str]):
    """`render` leaves the host's Pillow, warnings, signals, locale, paths and all else unchanged."""
    assert usual[-1] == "changed:"
    assert usual[-3:-1] == ["truncated", "truncated"]


def test_settings_stay_unchanged_in_threads(usual: list[str]):
    """Four threads at once leave them unchanged too, and make the same pictures."""
    told = _told(threads=4)
    assert told[-1] == "changed:"
    assert sorted(told[:-1]) == sorted(usual[:-1] * 4)


@pytest.mark.parametrize(
    "setting",
    [
        "Image.MAX_IMAGE_PIXELS = 1",
        "ImageFile.LOAD_TRUNCATED_IMAGES = True",
        "warnings.simplefilter('error')",
        "TiffImagePlugin.READ_LIBTIFF = True",
        "gc.disable()",
        "decimal.getcontext().prec = 1",
        "ImageFile.MAXBLOCK = 1",
        "Image.init(); Image.OPEN.clear(); Image.ID.clear(); Image.preinit = Image.init = lambda *_: None",
    ],
)
def test_settings_of_the_host_change_no_picture(setting: str, usual: list[str]):
    """Settings of the host change no picture, and incomplete sources are still rejected."""
    assert _told(then=setting) == usual
