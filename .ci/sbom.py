"""Adds the C libraries inside of packages to a list of packages (SBOM, CycloneDX): `python .ci/sbom.py FILE`.

Run it with the Python of an environment that has these versions of the packages. The version of a library is the one
that it reports, or else the one in the text of its file. A library that shows none has none in the list. Files have
their SHA-256, so that a scanner finds them. The result is about the wheels for this system.
"""

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.version import Version

Component = dict[str, Any]


def _pillow() -> dict[str, str | None]:
    features = import_module("PIL.features")
    names = {
        "libjpeg-turbo": features.version_feature("libjpeg_turbo"),
        "zlib-ng": features.version_feature("zlib_ng"),
        "raqm": features.version_feature("raqm"),
        "harfbuzz": features.version_feature("harfbuzz"),
        "libtiff": features.version_codec("libtiff"),
        "openjpeg": features.version_codec("jpg_2000"),
        "libwebp": features.version_module("webp"),
        "libavif": features.version_module("avif"),
        "littlecms2": features.version_module("littlecms2"),
        "freetype": features.version_module("freetype2"),
    }
    return {name: version for name, version in names.items() if version}


def _heif() -> dict[str, str | None]:
    heif = import_module("pi_heif")
    decoders = " ".join(heif.libheif_info()["decoders"].values())
    return {"libheif": heif.libheif_version(), "libde265": _found(r"version ([\d.]+)", decoders)}


def _pdfium() -> dict[str, str | None]:
    return {"pdfium": _found(r"([\d.]+)", str(import_module("pypdfium2_raw.version").PDFIUM_INFO))}


def _libvips() -> dict[str, str | None]:
    vips = import_module("_libvips")
    return {"libvips": ".".join(str(vips.lib.vips_version(part)) for part in range(3))}


# What the libraries of a package report about themselves.
REPORTED: dict[str, Callable[[], dict[str, str | None]]] = {
    "pillow": _pillow,
    "pi-heif": _heif,
    "pypdfium2": _pdfium,
    "pyvips-binary": _libvips,
    "rawpy": lambda: {"LibRaw": ".".join(map(str, import_module("rawpy").libraw_version))},
    "resvg-py": lambda: {"resvg": import_module("resvg_py").__resvg_version__},
    "pillow-lunasvg": lambda: {"lunasvg": import_module("pillow_lunasvg").lunasvg_version},
}

# Libraries inside of one file: a text by which they are recognized, with their version if it has one.
IN_FILES: dict[str, dict[str, bytes]] = {
    "libvips": {
        "aom": rb"AOMedia Project AV1 Decoder v?([\d.]+)",
        "cairo": rb"cairo",
        "expat": rb"expat: ",
        "fontconfig": rb"fontconfig",
        "fribidi": rb"[Ff]ri[Bb]idi",
        "glib": rb"GLib",
        "harfbuzz": rb"HB_OPTIONS|harfbuzz",
        "lcms2": rb"lcms|Little CMS|little cms",
        "libarchive": rb"libarchive ([\d.]+)",
        "libexif": rb"EXIF-2\.1|libexif",
        "libheif": rb"libheif",
        "librsvg": rb"librsvg",
        "libtiff": rb"LIBTIFF|TIFFReadDirectory",
        "libwebp": rb"WebPDecode|VP8X",
        "mozjpeg": rb"mozjpeg version ([\d.]+)",
        "pango": rb"PangoFc",
        "zlib-ng": rb"([\d.]+)\.zlib-ng",
    },
}


def _found(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return match[1] if match else None


def _component(name: str, version: str | None, source: str) -> Component:
    about = {"properties": [{"name": "thumbsmith:version-from", "value": source}]}
    return {"type": "library", "name": name, **({"version": version} if version else {}), **about}


def _files(package: Distribution) -> Iterator[Path]:
    for each in package.files or ():
        if re.search(r"\.(so|dylib)(\.|$)", each.name) and ".libs/" in each.as_posix():
            yield Path(str(package.locate_file(each)))


def _parts(file: Path) -> Iterator[Component]:
    """Yield the libraries that are recognized inside of a file."""
    for beginning, patterns in IN_FILES.items():
        if file.name.startswith(beginning):
            content = file.read_bytes()
            for name, pattern in patterns.items():
                if match := re.search(pattern, content):
                    version = match[1].decode() if match.re.groups else None
                    yield _component(name, version, f"text in {file.name}")


def _of_package(name: str, version: str) -> list[Component]:
    """Return the libraries of a package: those that report their version, its files, and the libraries in these."""
    found = distribution(name).version
    if Version(found) != Version(version):
        sys.exit(f"{name}: expected version {version} in this environment, found {found}")
    reported = REPORTED.get(name, dict)()
    components = [_component(library, version, "reported by the library") for library, version in reported.items()]
    for file in sorted(_files(distribution(name))):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        hashes = [{"alg": "SHA-256", "content": digest}]
        components += [{"type": "file", "name": file.name, "hashes": hashes}, *_parts(file)]
    return components


def add_libraries(sbom: dict[str, Any]) -> None:
    """Put into each package of the list the libraries that it contains."""
    for each in sbom["components"]:
        name = each["name"].lower()
        try:
            inner = _of_package(name, each["version"])
        except PackageNotFoundError:
            continue  # it is for another system
        if inner:
            each["components"] = inner


if __name__ == "__main__":
    path = Path(sys.argv[1])
    content = json.loads(path.read_text(encoding="utf-8"))
    add_libraries(content)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
