"""The table of formats is complete: what it names exists, and every part of the program uses it."""

import subprocess
import sys

import pytest

from tests.containers.files import good
from thumbsmith.image import opening
from thumbsmith.image.containers.base import Window
from thumbsmith.image.containers.checks import Extras, OutputError
from thumbsmith.image.containers.signature import SIGNATURE_BYTES, identify
from thumbsmith.image.formats import SOURCE_FORMATS, SourceFormat
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader
from thumbsmith.recipe.model import Format


def sample(name: str) -> bytes:
    """Return a file of a format."""
    return next(data for file, data in sorted(good().items()) if file.partition("-")[0] == name)


@pytest.mark.parametrize("name", SOURCE_FORMATS)
def test_a_row_recognizes_reads_and_decodes_its_format(name: str):
    """Signature, header reader and decoder of each row belong to the format that the row names."""
    data, row = sample(name), SOURCE_FORMATS[name]
    assert row.name == name
    assert row.matches(data) or not row.signatures
    assert identify(data[:SIGNATURE_BYTES]).header == row.header
    assert row.read_header(Window.over(BytesReader(data))) == probe(BytesReader(data))
    assert (row.load_decoder() is None) == (row.plugin is not None)


@pytest.mark.parametrize("kind", Format)
def test_every_output_format_has_an_output_check(kind: Format):
    """A format that is written has a check, which refuses damage."""
    data = sample(kind)
    with pytest.raises(OutputError):
        SOURCE_FORMATS[kind].check_output(data + b"more", Extras())


def test_a_format_that_is_not_written_has_no_output_check():
    """A check of such a format is a mistake in the program, not in the file."""
    with pytest.raises(ValueError, match="gif is not written"):
        SOURCE_FORMATS["gif"].check_output(b"", Extras())


def test_what_is_installed_is_listed_by_the_table():
    """The doctor lists all formats of sources, and all formats of thumbnails."""
    assert opening.decodable_formats().keys() == SOURCE_FORMATS.keys()
    assert opening.encodable_formats().keys() == set(Format)


def test_a_format_without_a_decoder_is_a_mistake(monkeypatch: pytest.MonkeyPatch):
    """A row must name a class of Pillow or a decoder."""
    row = SOURCE_FORMATS["gif"]
    broken = SourceFormat(
        name="gif",
        signatures=row.signatures,
        header=row.header,
        suffixes=row.suffixes,
        media_types=row.media_types,
    )
    monkeypatch.setitem(SOURCE_FORMATS, "gif", broken)
    data = sample("gif")
    with pytest.raises(ValueError, match="gif has no decoder"):
        opening.open_image(opening.SourceStream(BytesReader(data)), probe(BytesReader(data)))


def test_the_table_loads_neither_pillow_nor_a_container():
    """The parent of the workers imports it at its start, and needs none of them then."""
    program = (
        "import sys, thumbsmith.image.formats; "
        "print([name for name in sys.modules if 'PIL' in name or 'containers' in name])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
