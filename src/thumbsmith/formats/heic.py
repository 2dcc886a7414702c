"""HEIC, by the optional package pi_heif."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from thumbsmith.errors import MissingDecoder


def open_heic(data: bytes) -> Image.Image:
    """Return a HEIC file's main picture, decoded when it is loaded and turned as it is meant to be seen.

    libheif obeys irot and imir itself. Raises MissingDecoder where pi_heif is not installed, and what pi_heif raises.
    """
    try:
        import pi_heif  # noqa: PLC0415 - an extra that need not be there
        from pi_heif.as_plugin import HeifImageFile  # noqa: PLC0415 - as above
    except ImportError as error:
        raise MissingDecoder('photos in HEIC need the extra "heic": pip install "thumbsmith[heic]"') from error
    pi_heif.options.DECODE_THREADS = 1
    image: Image.Image = HeifImageFile(BytesIO(data))
    return image
