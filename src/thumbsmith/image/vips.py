"""The part of libvips that is needed here, by the binding that comes with pyvips-binary.

An operation (https://www.libvips.org/API/current/class.Operation.html) is created by name, gets its arguments, and is
built. Pixels are computed when they are read. Nothing is cached between calls. Settings of libvips are changed only in
a worker's template, since a host program may use libvips too.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol, TypeAlias

import _libvips
from _libvips import ffi, lib

Pointer: TypeAlias = Any

if lib.vips_init(b"thumbsmith"):
    raise ImportError("libvips cannot be started")

# Builds an operation without a cache entry. The function of the binding adds one to the cache of the whole process:
# https://www.libvips.org/API/current/method.Object.build.html
_BUILD: Final = ctypes.CDLL(_libvips.__file__).vips_object_build
_BUILD.argtypes, _BUILD.restype = [ctypes.c_void_p], ctypes.c_int

# Rows that are computed at once: as many as libvips takes of pictures that are decoded row by row.
_STRIP_ROWS: Final = 16

# The same for pictures in memory: fewer calls take less time.
_MEMORY_STRIP_ROWS: Final = 64

_PROFILE: Final = b"icc-profile-data"
_UCHAR: Final = 0  # VIPS_FORMAT_UCHAR
_WARNING: Final = 1 << 4  # G_LOG_LEVEL_WARNING
_INT: Final = 6 << 2  # G_TYPE_INT
_IMAGE: Final = lib.g_type_from_name(b"VipsImage")
_SOURCE: Final = lib.g_type_from_name(b"VipsSource")


class VipsError(Exception):
    """An operation of libvips failed. The text is the message of libvips."""


class File(Protocol):
    """A file that libvips reads, in a thread of libvips. Its methods never raise: they return -1 for a failure."""

    def read_into(self, buffer: Pointer, /) -> int:
        """Read into a buffer. Return the number of bytes, 0 at the end."""
        ...

    def seek(self, offset: int, whence: int, /) -> int:
        """Move to a position and return it."""
        ...


# As in pyvips, a handle is a function that takes the arguments of the signal. So both can be loaded together.
@ffi.def_extern()  # type: ignore[untyped-decorator]
def _marshal_read(_source: Pointer, memory: Pointer, length: int, handle: Pointer) -> int:
    return int(ffi.from_handle(handle)(ffi.buffer(memory, length)))


@ffi.def_extern()  # type: ignore[untyped-decorator]
def _marshal_seek(_source: Pointer, offset: int, whence: int, handle: Pointer) -> int:
    return int(ffi.from_handle(handle)(offset, whence))


def _silent(_domain: Pointer, _level: int, _message: Pointer, _data: Pointer) -> None:
    """Ignore a warning of libvips. By default it is written to standard error."""


if "pyvips" not in sys.modules:  # a host program with pyvips decides where warnings go
    ffi.def_extern(name="_log_handler_callback")(_silent)
    lib.g_log_set_handler(b"VIPS", _WARNING, lib._log_handler_callback, ffi.NULL)
_MARSHALS: Final = tuple(ffi.cast("GCallback", each) for each in (lib._marshal_read, lib._marshal_seek))


class Picture:
    """A picture of libvips with 8 bits a channel. Its pixels are computed when they are read."""

    def __init__(self, pointer: Pointer, kept_alive: object = None) -> None:
        """Take over a reference to a VipsImage. `kept_alive` is the memory or the picture that its pixels come from."""
        self._pointer = ffi.gc(pointer, lib.g_object_unref)
        self._kept_alive = kept_alive

    @classmethod
    def open(cls, loader: str, file: File | bytes, **options: float | str) -> Picture:
        """Return the picture in a file, by one of libvips' loaders ("pngload"). It is decoded row by row, from the top.

        Raises VipsError, also for damage and for a failure to read the file.
        """
        source, kept_alive = _source_over(file)
        made = _checked(lib.vips_operation_new(f"{loader}_source".encode()))
        _set(made, "source", _SOURCE, source)
        defaults: dict[str, float | str] = {"access": "sequential", "fail_on": "error"}
        return cls(_built(made, defaults | options), (source, kept_alive))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return width, height, and bytes for each pixel: 0 if it does not have 8 bits a channel."""
        width, height, bands = (self._number(each, _INT) for each in (b"width", b"height", b"bands"))
        eight = self._number(b"format", lib.vips_band_format_get_type()) == _UCHAR
        return width, height, bands if eight else 0

    def profile(self) -> bytes | None:
        """Return the ICC profile of its file, None if it has none."""
        if not lib.vips_image_get_typeof(self._pointer, _PROFILE):
            return None
        value, size = ffi.gc(ffi.new("GValue *"), lib.g_value_unset), ffi.new("size_t *")
        lib.vips_image_get(self._pointer, _PROFILE, value)
        return bytes(ffi.buffer(lib.vips_value_get_blob(value, size), size[0]))

    def _number(self, name: bytes, kind: int) -> int:
        value = ffi.gc(ffi.new("GValue *"), lib.g_value_unset)
        lib.g_value_init(value, kind)
        lib.g_object_get_property(ffi.cast("GObject *", self._pointer), name, value)
        return int(lib.g_value_get_int(value) if kind == _INT else lib.g_value_get_enum(value))

    @classmethod
    def from_pixels(cls, pixels: bytes | bytearray, width: int, height: int, bands: int) -> Picture:
        """Return the picture with these pixels, row by row."""
        memory = ffi.from_buffer(pixels)
        pointer = lib.vips_image_new_from_memory(memory, len(pixels), width, height, bands, _UCHAR)
        return cls(_checked(pointer), memory)

    def run(self, operation: str, **options: float | str) -> Picture:
        """Return the result of an operation on this picture. Raises VipsError."""
        made = _checked(lib.vips_operation_new(operation.encode()))
        _set(made, "in", _IMAGE, self._pointer)
        return Picture(_built(made, options), self)

    def pixels(self) -> Pointer:
        """Return the pixels, row by row, as a buffer. Raises VipsError.

        A thread of libvips computes them and reuses its buffers: this takes 5 % less time for PNG, 8 % for TIFF.
        """
        size = ffi.new("size_t *")
        pointer = _checked(lib.vips_image_write_to_memory(self._pointer, size))
        return ffi.buffer(ffi.gc(pointer, lib.g_free, size[0]), size[0])

    def pixels_in_this_thread(self) -> bytearray:
        """Return the pixels, computed in this thread, so that the process can still be forked. Raises VipsError."""
        width, height, bands = self.shape
        pixels = bytearray(width * height * bands)
        place = 0
        for strip in self.strips(_MEMORY_STRIP_ROWS):
            pixels[place : place + len(strip)] = strip
            place += len(strip)
        return pixels

    def strips(self, count: int = _STRIP_ROWS) -> Iterator[Pointer]:
        """Yield the pixels as buffers, `count` rows at a time, computed in this thread. Raises VipsError."""
        fetch, height = self.rows_in_this_thread(), self.shape[1]
        for top in range(0, height, count):
            yield fetch(top, min(count, height - top))

    def rows_in_this_thread(self) -> Callable[[int, int], Pointer]:
        """Return a function that computes rows: (the first, their number) -> their pixels. It raises VipsError."""
        width, size = self.shape[0], ffi.new("size_t *")
        region = ffi.gc(_checked(lib.vips_region_new(self._pointer)), lib.g_object_unref)

        def fetch(top: int, count: int) -> Pointer:
            pixels = _checked(lib.vips_region_fetch(region, 0, top, width, count, size))
            return ffi.buffer(ffi.gc(pixels, lib.g_free), size[0])

        return fetch


def version() -> str:
    """Return libvips' version, as in "8.18.7"."""
    return ".".join(str(lib.vips_version(part)) for part in range(3))


def prepare_for_fork() -> None:
    """Initialize libvips for child processes. It starts no thread, since a fork would lose it.

    It changes settings of the whole process, so it is for our own processes only.
    """
    lib.vips_concurrency_set(1)  # one source uses one core: the others are for other sources
    lib.vips_cache_set_max(0)
    lib.vips_block_untrusted_set(1)
    reduced = Picture.from_pixels(bytes(4), 2, 2, 1).run("reduce", hshrink=2, vshrink=2)
    reduced.run("shrink", hshrink=1, vshrink=1).pixels_in_this_thread()
    for loader in ("jpegload", "pngload", "webpload", "tiffload"):
        lib.g_object_unref(_checked(lib.vips_operation_new(f"{loader}_source".encode())))


def _built(operation: Pointer, options: dict[str, float | str]) -> Pointer:
    """Return the result of an operation with these further arguments. Raises VipsError.

    The operation is freed in any case.
    """
    lib.vips_error_clear()  # it may contain warnings about earlier pictures
    made = ffi.gc(operation, lib.g_object_unref)
    arguments = ",".join(f"{name}={value}" for name, value in options.items())
    if lib.vips_object_set_from_string(ffi.cast("VipsObject *", made), arguments.encode()):
        raise VipsError(_error_message())
    if _BUILD(int(ffi.cast("uintptr_t", made))):
        lib.vips_object_unref_outputs(ffi.cast("VipsObject *", made))
        raise VipsError(_error_message())
    value = ffi.gc(ffi.new("GValue *"), lib.g_value_unset)
    lib.g_value_init(value, _IMAGE)
    lib.g_object_get_property(ffi.cast("GObject *", made), b"out", value)
    pointer = lib.g_value_get_object(value)
    lib.g_object_ref(pointer)
    lib.vips_object_unref_outputs(ffi.cast("VipsObject *", made))
    return ffi.cast("VipsImage *", pointer)


def _source_over(file: File | bytes) -> tuple[Pointer, object]:
    """Return a VipsSource over a file, and the objects that must be kept alive with it."""
    if isinstance(file, bytes):
        memory = ffi.from_buffer(file)
        return ffi.gc(_checked(lib.vips_source_new_from_memory(memory, len(file))), lib.g_object_unref), memory
    source = ffi.gc(_checked(lib.vips_source_custom_new()), lib.g_object_unref)
    calls = [ffi.new_handle(file.read_into), ffi.new_handle(file.seek)]
    for signal, marshal, call in zip((b"read", b"seek"), _MARSHALS, calls, strict=True):
        lib.g_signal_connect_data(ffi.cast("GObject *", source), signal, marshal, call, ffi.NULL, 0)
    return source, calls


def _set(operation: Pointer, name: str, kind: int, argument: Pointer) -> None:
    """Set an argument of an operation to an object."""
    value = ffi.gc(ffi.new("GValue *"), lib.g_value_unset)
    lib.g_value_init(value, kind)
    lib.g_value_set_object(value, argument)
    lib.g_object_set_property(ffi.cast("GObject *", operation), name.encode(), value)


def _checked(pointer: Pointer) -> Pointer:
    """Return a pointer. Raise VipsError for a null pointer."""
    if pointer == ffi.NULL:
        raise VipsError(_error_message())
    return pointer


def _error_message() -> str:
    message: str = ffi.string(lib.vips_error_buffer()).decode(errors="replace").strip()
    lib.vips_error_clear()
    return message
