"""Suffixes of files that are obviously not pictures. A folder of photos also has videos, sidecars and notes.

A suffix of which some files are pictures is not in the list: PDF and SVG, raw photographs, Photoshop documents, EPS,
and temporary or backup files of anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Kind of file -> its suffixes, without the dot, in lower case.
OTHER_SUFFIXES: Final[Mapping[str, frozenset[str]]] = {
    kind: frozenset(suffixes.split())
    for kind, suffixes in {
        "video": "3g2 3gp asf avi flv insv lrv m2ts m2v m4v mkv mov mp4 mpeg mpg mts mxf ogv ts vob webm wmv",
        "audio": "aac aif aiff amr ape flac m3u m3u8 m4a m4b mid midi mka mp3 oga ogg opus pls wav weba wma",
        "archive": "7z apk ar bz2 cab deb dmg gz iso jar lz lz4 lzh rar rpm tar tbz tgz txz whl xz zip zst",
        "office": "doc docm docx dot dotx epub key mobi numbers odg odp ods odt ott pages potx pps ppsx ppt pptm pptx"
        " pub rtf vsd vsdx xls xlsb xlsm xlsx xlt xltx",
        "text": "asc bib csv log markdown md po pot rst srt sub tex text tsv txt vcf vtt",
        "code": "asm bash bat c cc cfg class cmd conf cpp cs css cxx go h hpp htm html inc ini ipynb java js json jsonl"
        " jsx kt less lock lua m mjs php pl plist properties ps1 py pyc pyi r rb rs sass scss sh sql swift toml tsx vb"
        " vue xhtml xml xsl yaml yml",
        "sidecar": "aae bpl cos cube dop exif icc icm lnk lrtemplate lut md5 nfo nksc on1 pp3 sfv sha1 sha256 sidecar"
        " thm torrent url webloc xmp",
        "database": "accdb db db-journal db-shm db-wal dbf lrcat lrdata mdb parquet sqlite sqlite3",
        "program": "dll dylib elf exe ko lib msi o so sys wasm",
        "font": "eot otf ttc ttf woff woff2",
        "mail": "eml ics mbox msg pst",
    }.items()
}

_KINDS: Final = {suffix: kind for kind, suffixes in OTHER_SUFFIXES.items() for suffix in suffixes}


def other_kind(key: str) -> str | None:
    """Return the kind of file, such as "video", by the suffix of its name in any case, None if it may be a picture."""
    name, dot, suffix = key.rpartition(".")
    if not dot or not name or name.endswith("/"):
        return None
    return _KINDS.get(suffix.lower())
