"""libvips, by the binding that pyvips-binary brings along, as far as it is needed here.

Its functions are those of https://www.libvips.org/API/current/class.Operation.html: an operation is made by name, given
its arguments, and built; pixels are computed when they are asked for, in one thread. Loaders that are not fit for
hostile files are off, and nothing is kept from call to call.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from _libvips import ffi, lib

Pointer: TypeAlias = Any

if lib.vips_init(b"thumbsmith"):
    raise ImportError("libvips cannot be started")
lib.vips_concurrency_set(1)  # a picture is one core's work: others have theirs
lib.vips_cache_set_max(0)
lib.vips_block_untrusted_set(1)

_UCHAR: Final = 0  # VIPS_FORMAT_UCHAR
_IMAGE: Final = lib.g_type_from_name(b"VipsImage")


class VipsError(Exception):
    """An operation failed; what libvips says of it."""


class Picture:
    """A picture of libvips: 8 bits a channel, computed when it is asked for."""

    def __init__(self, pointer: Pointer, holds: object = None) -> None:
        """Take over a reference to a VipsImage. `holds` is what its pixels are in, and lives as long."""
        self._pointer = ffi.gc(pointer, lib.g_object_unref)
        self._holds = holds

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
        """Return the pixels, row by row, as a buffer. Raises VipsError."""
        size = ffi.new("size_t *")
        pointer = _checked(lib.vips_image_write_to_memory(self._pointer, size))
        return ffi.buffer(ffi.gc(pointer, lib.g_free, size[0]), size[0])


def warm() -> None:
    """Have libvips make its tables, for processes that are forked. Nothing is computed: that would start a thread."""
    Picture.of(bytes(4), 2, 2, 1).run("reduce", hshrink=2, vshrink=2)


def built(operation: Pointer, options: dict[str, float | str]) -> Pointer:
    """Return the picture that an operation gives out, whose other arguments are `options`. Raises VipsError.

    It is let go of whatever happens.
    """
    made = ffi.gc(operation, lib.g_object_unref)
    words = ",".join(f"{name}={value}" for name, value in options.items())
    if lib.vips_object_set_from_string(ffi.cast("VipsObject *", made), words.encode()):
        raise VipsError(_said())
    ready = ffi.gc(_checked(lib.vips_cache_operation_build(made)), lib.g_object_unref)
    value = ffi.gc(ffi.new("GValue *"), lib.g_value_unset)
    lib.g_value_init(value, _IMAGE)
    lib.g_object_get_property(ffi.cast("GObject *", ready), b"out", value)
    pointer = lib.g_value_get_object(value)
    lib.g_object_ref(pointer)
    lib.vips_object_unref_outputs(ffi.cast("VipsObject *", ready))
    return ffi.cast("VipsImage *", pointer)


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
