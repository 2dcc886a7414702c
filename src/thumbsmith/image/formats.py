"""The table of image formats: how each is recognized, probed, decoded and checked.

To add an input format, write `containers/NAME.py` with a function `read` and add a row here. Rows name functions as
text: this module loads neither Pillow nor the containers, because the parent of the workers needs neither at its start.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from thumbsmith.errors import MissingDecoder
from thumbsmith.installation import install_command

if TYPE_CHECKING:
    from thumbsmith.image.containers.base import Probe, Window
    from thumbsmith.image.containers.checks import Extras

# The first bytes of a file: bytes at an offset, all of which must be there.
Signature: TypeAlias = tuple[tuple[int, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFormat:
    """A format of sources. Functions are named "module.function", relative to this package."""

    name: str  # as in Probe.format
    signatures: tuple[Signature, ...]  # one of them must match
    header: str  # (Window) -> Probe; with pages, (Window, page) -> Probe
    has_pages: bool = False
    plugin: tuple[str, str] | None = None  # the module and class of Pillow that decode it
    decoder: str | None = None  # else (SourceStream, Probe) -> Pillow image
    check: str | None = None  # (bytes, Extras) -> None: the output check, for formats that are written
    feature: str | None = None  # the feature of Pillow that it needs (PIL.features)
    package: str | None = None  # the module of the package that it needs in addition to Pillow and libvips
    extra: str | None = None  # the extra that installs this package, None where the plain install includes it
    prepare: str | None = None  # () -> None: called once in a worker's template, which may open files
    orients: bool = False  # the decoder applies the orientation itself
    suffixes: frozenset[str]  # of file names
    media_types: frozenset[str]

    def matches(self, head: bytes) -> bool:
        """Return whether a file that begins with `head` is of this format."""
        return any(all(head.startswith(part, offset) for offset, part in each) for each in self.signatures)

    def read_header(self, data: Window, page: int = 1) -> Probe:
        """Return what the header says of the picture, or of a page of a document.

        Raises Rejected, ShortRead, StoreError, and MissingDecoder where a package reads the header.
        """
        return cast("Probe", _function(self.header)(data, page) if self.has_pages else _function(self.header)(data))

    def check_output(self, data: bytes, extras: Extras) -> None:
        """Raise OutputError for an encoded file with unexpected content."""
        if self.check is None:
            raise ValueError(f"{self.name} is not written")
        _function(self.check)(data, extras)

    def load_check(self) -> None:
        """Import what `check_output` needs, if the format is written: later no descriptor may be left for it."""
        if self.check:
            _function(self.header)
            _function(self.check)

    @property
    def install(self) -> str:
        """Return the command that installs its package here. It reads files, which a worker process cannot."""
        return install_command(self.extra)

    def require_package(self) -> None:
        """Import its package. Raises MissingDecoder if that is not installed."""
        if self.package is None:
            return
        try:
            import_module(self.package)
        except ImportError as error:
            what = f'the extra "{self.extra}"' if self.extra else f"the package {self.package}"
            raise MissingDecoder(f"decoding {self.name} needs {what}", self.extra) from error

    def prepare_for_fork(self) -> None:
        """Load all that the decoder needs from files, if its package is installed: a child can open none."""
        with suppress(MissingDecoder):
            self.require_package()
            if self.prepare:
                _function(self.prepare)()

    def load_decoder(self) -> Callable[[Any, Probe], Any] | None:
        """Return the decoder of this package, None where a class of Pillow decodes the format. Loads Pillow."""
        return _function(self.decoder) if self.decoder else None


def _function(name: str) -> Any:
    module, _, function = name.rpartition(".")
    return getattr(import_module(f"{__package__}.{module}"), function)


# Pillow reads a TIFF whose number 42 is in the wrong byte order, so these signatures are TIFF too.
_TIFF_HEADERS: Final = (b"II*\x00", b"MM\x00*", b"II\x00*", b"MM*\x00", b"II+\x00", b"MM\x00+")

# Digits 1 to 7, and what may follow them.
_PNM_HEADERS: Final = tuple(b"P%d%c" % (digit, after) for digit in range(1, 8) for after in b"\n\r\t #")

_FORMATS: Final = (
    SourceFormat(
        name="jpeg",
        signatures=(((0, b"\xff\xd8\xff"),),),
        header="containers.jpeg.read",
        decoder="decode_jpeg.open_jpeg",
        check="containers.jpeg.check",
        feature="jpg",
        suffixes=frozenset({".jpg", ".jpeg", ".jpe", ".jfif"}),
        media_types=frozenset({"image/jpeg"}),
    ),
    SourceFormat(
        name="png",
        signatures=(((0, b"\x89PNG\r\n\x1a\n"),),),
        header="containers.png.read",
        decoder="decode_png.open_png",
        check="containers.png.check",
        feature="zlib",
        suffixes=frozenset({".png"}),
        media_types=frozenset({"image/png"}),
    ),
    SourceFormat(
        name="gif",
        signatures=(((0, b"GIF87a"),), ((0, b"GIF89a"),)),
        header="containers.gif.read",
        plugin=("GifImagePlugin", "GifImageFile"),
        suffixes=frozenset({".gif"}),
        media_types=frozenset({"image/gif"}),
    ),
    SourceFormat(
        name="webp",
        signatures=(((0, b"RIFF"), (8, b"WEBP")),),
        header="containers.webp.read",
        plugin=("WebPImagePlugin", "WebPImageFile"),
        check="containers.webp.check",
        feature="webp",
        suffixes=frozenset({".webp"}),
        media_types=frozenset({"image/webp"}),
    ),
    SourceFormat(
        name="tiff",
        signatures=tuple(((0, header),) for header in _TIFF_HEADERS),
        header="containers.tiff.read",
        decoder="decode_tiff.open_tiff",
        feature="libtiff",
        orients=True,
        suffixes=frozenset({".tif", ".tiff"}),
        media_types=frozenset({"image/tiff"}),
    ),
    SourceFormat(
        name="avif",
        signatures=(((4, b"ftyp"),),),
        header="containers.heif.read",
        decoder="decode_avif.open_avif",
        check="containers.avif.check",
        feature="avif",
        suffixes=frozenset({".avif"}),
        media_types=frozenset({"image/avif"}),
    ),
    SourceFormat(  # the same container as AVIF, whose header reader tells them apart
        name="heic",
        signatures=(((4, b"ftyp"),),),
        header="containers.heif.read",
        decoder="decode_heic.open_heic",
        package="pi_heif",
        prepare="decode_heic.load_library",
        orients=True,
        suffixes=frozenset({".heic", ".heif"}),
        media_types=frozenset({"image/heic", "image/heif"}),
    ),
    SourceFormat(
        name="bmp",
        signatures=(((0, b"BM"),),),
        header="containers.bmp.read",
        decoder="decode_bmp.open_bmp",
        suffixes=frozenset({".bmp"}),
        media_types=frozenset({"image/bmp"}),
    ),
    SourceFormat(
        name="pnm",
        signatures=tuple(((0, header),) for header in _PNM_HEADERS),
        header="containers.pnm.read",
        decoder="decode_pnm.open_pnm",
        suffixes=frozenset({".pbm", ".pgm", ".ppm", ".pnm", ".pam"}),
        media_types=frozenset(
            {
                "image/x-portable-anymap",
                "image/x-portable-bitmap",
                "image/x-portable-graymap",
                "image/x-portable-pixmap",
            }
        ),
    ),
    SourceFormat(
        name="ico",
        signatures=(((0, b"\x00\x00\x01\x00"),), ((0, b"\x00\x00\x02\x00"),)),  # icons and cursors
        header="containers.ico.read",
        decoder="decode_ico.open_ico",
        suffixes=frozenset({".ico", ".cur"}),
        media_types=frozenset({"image/vnd.microsoft.icon", "image/x-icon"}),
    ),
    SourceFormat(
        name="jp2",
        signatures=(((0, b"\x00\x00\x00\x0cjP  \r\n\x87\n"),), ((0, b"\xff\x4f\xff\x51"),)),
        header="containers.jpeg2000.read",
        decoder="decode_jpeg2000.open_jpeg2000",
        prepare="decode_jpeg2000.load_plugin",
        feature="jpg_2000",
        suffixes=frozenset({".jp2", ".jpx", ".jpf", ".j2k", ".j2c", ".jpc"}),
        media_types=frozenset({"image/jp2", "image/jpx", "image/j2c"}),
    ),
    SourceFormat(
        name="psd",
        signatures=(((0, b"8BPS"),),),
        header="containers.psd.read",
        decoder="decode_psd.open_psd",
        suffixes=frozenset({".psd", ".psb"}),
        media_types=frozenset({"image/vnd.adobe.photoshop"}),
    ),
    SourceFormat(
        name="qoi",
        signatures=(((0, b"qoif"),),),
        header="containers.qoi.read",
        plugin=("QoiImagePlugin", "QoiImageFile"),
        suffixes=frozenset({".qoi"}),
        media_types=frozenset({"image/qoi"}),
    ),
    SourceFormat(
        name="raw",  # most are TIFF or ISO containers, whose header readers tell them apart
        signatures=tuple(((0, mark),) for mark in (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\x00")),
        header="containers.raw.read",
        decoder="decode_raw.open_raw",
        package="rawpy",
        extra="raw",
        prepare="decode_raw.load_library",
        suffixes=frozenset({".cr2", ".cr3", ".nef", ".nrw", ".arw", ".dng", ".raf", ".orf", ".rw2"}),
        media_types=frozenset({"image/x-adobe-dng", "image/x-canon-cr2", "image/x-canon-cr3", "image/x-nikon-nef"}),
    ),
    SourceFormat(
        name="svg",
        signatures=(),  # it is text: signature.py finds its root element
        header="containers.svg.read",
        decoder="decode_svg.open_svg",
        package="resvg_py",
        extra="documents",
        prepare="decode_svg.load_engines",
        suffixes=frozenset({".svg"}),
        media_types=frozenset({"image/svg+xml"}),
    ),
    SourceFormat(
        name="pdf",
        signatures=(((0, b"%PDF-"),),),
        header="decode_pdf.read",
        has_pages=True,
        decoder="decode_pdf.open_pdf",
        package="pypdfium2_raw",
        extra="documents",
        prepare="decode_pdf.load_library",
        suffixes=frozenset({".pdf"}),
        media_types=frozenset({"application/pdf"}),
    ),
)

SOURCE_FORMATS: Final = {each.name: each for each in _FORMATS}
