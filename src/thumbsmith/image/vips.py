"""libvips, by the binding that pyvips-binary brings along, as far as it is needed here.

Its functions are those of https://www.libvips.org/API/current/class.Operation.html: an operation is made by name, given
its arguments, and built; pixels are computed when they are asked for. Nothing is kept from call to call, and no setting
of libvips is changed but in a worker's template: a host program may use libvips too.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from typing import Any, Final, Protocol, TypeAlias

import _libvips
from _libvips import ffi, lib

Pointer: TypeAlias = Any

if lib.vips_init(b"thumbsmith"):
    raise ImportError("libvips cannot be started")

# Builds an operation, and keeps nothing of it, where the function of the binding has it remembered for all of the
# process: https://www.libvips.org/API/current/method.Object.build.html
_BUILD: Final = ctypes.CDLL(_libvips.__file__).vips_object_build
_BUILD.argtypes, _BUILD.restype = [ctypes.c_void_p], ctypes.c_int

# Rows that are computed at once: as many as libvips itself takes of pictures that are made row by row.
_STRIP: Final = 16

_PROFILE: Final = b"icc-profile-data"
_UCHAR: Final = 0  # VIPS_FORMAT_UCHAR
_WARNING: Final = 1 << 4  # G_LOG_LEVEL_WARNING
_INT: Final = 6 << 2  # G_TYPE_INT
_IMAGE: Final = lib.g_type_from_name(b"VipsImage")
_SOURCE: Final = lib.g_type_from_name(b"VipsSource")


class VipsError(Exception):
    """An operation failed; what libvips says of it."""


class File(Protocol):
    """A file that libvips reads, from a thread of its own. Neither method raises anything: -1 is a failure."""

    def read_into(self, buffer: Pointer, /) -> int:
        """Read into a buffer; return the number of bytes, 0 at the end."""
        ...

    def seek(self, offset: int, whence: int, /) -> int:
        """Go to a position; return it."""
        ...


# Handles are functions that take what the signal brings, as pyvips has it: who loads that too changes nothing.
@ffi.def_extern()  # type: ignore[untyped-decorator]
def _marshal_read(_source: Pointer, memory: Pointer, length: int, handle: Pointer) -> int:
    return int(ffi.from_handle(handle)(ffi.buffer(memory, length)))


@ffi.def_extern()  # type: ignore[untyped-decorator]
def _marshal_seek(_source: Pointer, offset: int, whence: int, handle: Pointer) -> int:
    return int(ffi.from_handle(handle)(offset, whence))


def _silent(_domain: Pointer, _level: int, _message: Pointer, _data: Pointer) -> None:
    """Say nothing: what libvips warns of is not looked at, and would be written to the standard error."""


if "pyvips" not in sys.modules:  # a host that uses it has its warnings where it wants them
    ffi.def_extern(name="_log_handler_callback")(_silent)
    lib.g_log_set_handler(b"VIPS", _WARNING, lib._log_handler_callback, ffi.NULL)
MARSHALS: Final = tuple(ffi.cast("GCallback", each) for each in (lib._marshal_read, lib._marshal_seek))


class Picture:
    """A picture of libvips: 8 bits a channel, computed when it is asked for."""

    def __init__(self, pointer: Pointer, holds: object = None) -> None:
        """Take over a reference to a VipsImage. `holds` is what its pixels are in, and lives as long."""
        self._pointer = ffi.gc(pointer, lib.g_object_unref)
        self._holds = holds

    @classmethod
    def read(cls, loader: str, file: File | bytes, **options: float | str) -> Picture:
        """Return the picture in a file, by one of libvips' loaders ("pngload"), from the top as it is asked for.

        Damage is an error, and so is what reading the file raises. Raises VipsError.
        """
        source, held = _source_over(file)
        made = _checked(lib.vips_operation_new(f"{loader}_source".encode()))
        _set(made, "source", _SOURCE, source)
        return cls(built(made, options | {"access": "sequential", "fail_on": "error"}), (source, held))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return width, height, and the number of bytes of a pixel; 0 of one that is not 8 bits a channel."""
        width, height, bands = (self._number(each, _INT) for each in (b"width", b"height", b"bands"))
        eight = self._number(b"format", lib.vips_band_format_get_type()) == _UCHAR
        return width, height, bands if eight else 0

    def profile(self) -> bytes | None:
        """Return the ICC profile that was in its file, None for none."""
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
    def of(cls, pixels: bytes, width: int, height: int, bands: int) -> Picture:
        """Return the picture that lies in these bytes, row by row."""
        memory = ffi.from_buffer(pixels)
        pointer = lib.vips_image_new_from_memory(memory, len(pixels), width, height, bands, _UCHAR)
        return cls(_checked(pointer), memory)

    def run(self, operation: str, **options: float | str) -> Picture:
        """Return what an operation makes of this picture. Raises VipsError."""
        made = _checked(lib.vips_operation_new(operation.encode()))
        _set(made, "in", _IMAGE, self._pointer)
        return Picture(built(made, options), self)

    def pixels(self) -> Pointer:
        """Return the pixels, row by row, as a buffer. Raises VipsError.

        They are computed in a thread of libvips', which uses its buffers again: PNG takes 5 % less time so, TIFF 8 %.
        """
        size = ffi.new("size_t *")
        pointer = _checked(lib.vips_image_write_to_memory(self._pointer, size))
        return ffi.buffer(ffi.gc(pointer, lib.g_free, size[0]), size[0])

    def pixels_here(self) -> bytearray:
        """Return the pixels, computed in this thread: afterwards its process can be forked. Raises VipsError."""
        width, height, bands = self.shape
        pixels = bytearray(width * height * bands)
        place = 0
        for strip in self.strips():
            pixels[place : place + len(strip)] = strip
            place += len(strip)
        return pixels

    def strips(self) -> Iterator[Pointer]:
        """Yield the pixels as buffers, a few rows at a time, computed in this thread. Raises VipsError."""
        width, height, _ = self.shape
        size = ffi.new("size_t *")
        region = ffi.gc(_checked(lib.vips_region_new(self._pointer)), lib.g_object_unref)
        for top in range(0, height, _STRIP):
            strip = lib.vips_region_fetch(region, 0, top, width, min(_STRIP, height - top), size)
            yield ffi.buffer(ffi.gc(_checked(strip), lib.g_free), size[0])


def version() -> str:
    """Return libvips' version, as in "8.18.7"."""
    return ".".join(str(lib.vips_version(part)) for part in range(3))


def warm() -> None:
    """Have libvips do what it does once, for processes that are forked. No thread is started: a fork would lose it.

    Its settings count for all of the process, so this is for processes of our own.
    """
    lib.vips_concurrency_set(1)  # a picture is one core's work: others have theirs
    lib.vips_cache_set_max(0)
    lib.vips_block_untrusted_set(1)
    Picture.of(bytes(4), 2, 2, 1).run("reduce", hshrink=2, vshrink=2).run("shrink", hshrink=1, vshrink=1).pixels_here()
    for loader in ("jpegload", "pngload", "webpload", "tiffload"):
        lib.g_object_unref(_checked(lib.vips_operation_new(f"{loader}_source".encode())))


def built(operation: Pointer, options: dict[str, float | str]) -> Pointer:
    """Return the picture that an operation gives out, whose other arguments are `options`. Raises VipsError.

    It is let go of whatever happens.
    """
    lib.vips_error_clear()  # of warnings of earlier pictures, which would fill its buffer
    made = ffi.gc(operation, lib.g_object_unref)
    words = ",".join(f"{name}={value}" for name, value in options.items())
    if lib.vips_object_set_from_string(ffi.cast("VipsObject *", made), words.encode()):
        raise VipsError(_said())
    if _BUILD(int(ffi.cast("uintptr_t", made))):
        lib.vips_object_unref_outputs(ffi.cast("VipsObject *", made))
        raise VipsError(_said())
    value = ffi.gc(ffi.new("GValue *"), lib.g_value_unset)
    lib.g_value_init(value, _IMAGE)
    lib.g_object_get_property(ffi.cast("GObject *", made), b"out", value)
    pointer = lib.g_value_get_object(value)
    lib.g_object_ref(pointer)
    lib.vips_object_unref_outputs(ffi.cast("VipsObject *", made))
    return ffi.cast("VipsImage *", pointer)


def _source_over(file: File | bytes) -> tuple[Pointer, object]:
    """Return a file as libvips reads it, and what must live as long."""
    if isinstance(file, bytes):
        memory = ffi.from_buffer(file)
        return ffi.gc(_checked(lib.vips_source_new_from_memory(memory, len(file))), lib.g_object_unref), memory
    source = ffi.gc(_checked(lib.vips_source_custom_new()), lib.g_object_unref)
    calls = [ffi.new_handle(file.read_into), ffi.new_handle(file.seek)]
    for signal, marshal, call in zip((b"read", b"seek"), MARSHALS, calls, strict=True):
        lib.g_signal_connect_data(ffi.cast("GObject *", source), signal, marshal, call, ffi.NULL, 0)
    return source, calls


def _set(operation: Pointer, name: str, kind: int, thing: Pointer) -> None:
    """Give an operation an object as an argument."""
    value = ffi.gc(ffi.new("GValue *"), lib.g_value_unset)
    lib.g_value_init(value, kind)
    lib.g_value_set_object(value, thing)
    lib.g_object_set_property(ffi.cast("GObject *", operation), name.encode(), value)


def _checked(pointer: Pointer) -> Pointer:
    """Return a pointer; raise VipsError for none."""
    if pointer == ffi.NULL:
        raise VipsError(_said())
    return pointer


def _said() -> str:
    said: str = ffi.string(lib.vips_error_buffer()).decode(errors="replace").strip()
    lib.vips_error_clear()
    return said
