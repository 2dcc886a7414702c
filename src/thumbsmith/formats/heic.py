"""HEIC, by the optional package pi_heif."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from thumbsmith.errors import MissingDecoder
from thumbsmith.formats.pillow import Image, ImageFile


class HeicFile(ImageFile.ImageFile):
    """A HEIC file's main picture, as pi_heif's own class gives it to Pillow: a part that is missing is an error."""

    format = "HEIF"
    _picture: Any = None

    def _open(self) -> None:
        from pi_heif import HeifFile, set_orientation  # noqa: PLC0415 - an extra that need not be there

        file = HeifFile(self.fp, convert_hdr_to_8bit=True, hdr_to_16bit=True, remove_stride=False)
        self._picture = file[file.primary_index]
        self._size, self._mode, self.info = self._picture.size, self._picture.mode, self._picture.info
        self.info["original_orientation"] = set_orientation(self.info)

    def load(self) -> Any:
        """Decode it."""
        if self._picture:
            data, self._size = self._picture.data, self._picture.size  # the size may change in decoding
            self.load_prepare()
            self.frombytes(data, "raw", (self._picture.mode, self._picture.stride))
            self._picture = None
        return super().load()


def open_heic(data: bytes) -> Image.Image:
    """Return a HEIC file's main picture, decoded when it is loaded and turned as it is meant to be seen.

    libheif obeys irot and imir itself. Raises MissingDecoder where pi_heif is not installed, and what pi_heif raises.
    """
    try:
        return HeicFile(BytesIO(data))
    except ImportError as error:
        raise MissingDecoder('photos in HEIC need the extra "heic": pip install "thumbsmith[heic]"') from error
