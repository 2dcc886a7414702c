"""HEIC sequences: the first frame, and with `animation = "keep"` all of them."""

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.containers.files import box, ispe
from tests.image.heic_films import FORWARD, INTRA, REORDERED, film
from tests.image.heif_items import Entry, heif, tile
from tests.image.pictures import difference, recipe, shown, textured
from tests.image.test_cicp import P3, SRGB_TRANSFER
from thumbsmith.errors import Rejected
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.hevc import Coding, to_rgb_matrix
from thumbsmith.image.limits import check_memory
from thumbsmith.image.pillow import Image as OurImage
from thumbsmith.image.probe import probe
from thumbsmith.image.render import render
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Format
from thumbsmith.recipe.model import Animation, Color

SIZE = (96, 64)
DURATIONS = (100, 50, 200, 100, 70, 400)


def scenes(count: int = len(DURATIONS)) -> list[Image.Image]:
    """Return pictures in which something moves, from left to right."""
    found = []
    for number in range(count):
        scene = textured(*SIZE).resize((12, 8)).resize(SIZE, Image.Resampling.BICUBIC)
        scene.paste((250, 30, 30), (10 * number, 20, 10 * number + 24, 44))
        found.append(scene)
    return found


FILM = film(scenes(), DURATIONS)


def kept(data: bytes, **fields) -> list[tuple[Image.Image, float]]:
    """Return the frames of the PNG that `animation = "keep"` gives, and their milliseconds."""
    fields = {"width": SIZE[0], "height": SIZE[1], "formats": (Format.PNG,), **fields}
    (made,) = render(data, recipe(animation=Animation.KEEP, **fields))
    image, found = Image.open(BytesIO(made.data)), []
    for number in range(image.n_frames):
        image.seek(number)
        image.load()
        found.append((image.copy(), image.info["duration"]))
    return found


def refused(data: bytes) -> str:
    """Return the rejection code of a sequence whose frames are kept."""
    with pytest.raises(Rejected) as problem:
        kept(data)
    return problem.value.code.value


@pytest.mark.parametrize("references", [INTRA, FORWARD, REORDERED])
@pytest.mark.parametrize("depth", [8, 10])
def test_a_sequence_shows_its_frames(references: int, depth: int):
    """The first frame is the still picture. All frames are kept in the order of their display."""
    data = film(scenes(), DURATIONS, references=references, depth=depth)
    assert difference(shown(data, width=SIZE[0], height=SIZE[1]).convert("RGB"), scenes()[0]) < 4
    found = kept(data)
    assert len(found) == len(DURATIONS)
    for (frame, _), scene in zip(found, scenes(), strict=True):
        assert difference(frame.convert("RGB"), scene) < 4


@pytest.mark.parametrize("matrix", [0, 1, 2, 4, 5, 6, 7, 9])
@pytest.mark.parametrize("full_range", [False, True])
def test_colors_are_decoded_by_the_matrix_of_the_file(matrix: int, full_range: bool):
    """Each matrix of H.273 reverts the equations of the standard, within a level."""
    levels = np.array([(250, 30, 30), (30, 200, 40), (20, 40, 220), (240, 240, 240), (9, 9, 9)]) / 255
    shares = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
    red, blue = shares.get(matrix, (0.299, 0.114))
    luma = levels @ [red, 1 - red - blue, blue]
    chroma = [(levels[:, 2] - luma) / (2 - 2 * blue), (levels[:, 0] - luma) / (2 - 2 * red)]
    stored = np.stack([luma, *chroma], axis=1) if matrix else levels[:, [1, 2, 0]]
    ranges = (255, 0, 255, 128) if full_range else (219, 16, 224, 128)
    scale = [ranges[0], *(2 * ranges[2:3] if matrix else 2 * ranges[:1])]
    start = [ranges[1], *(2 * ranges[3:] if matrix else 2 * ranges[1:2])]
    coded = OurImage.fromarray(np.round(stored * scale + start)[None].clip(0, 255).astype(np.uint8))
    found = np.asarray(coded.convert("RGB", to_rgb_matrix(Coding(matrix, full_range))))[0]
    assert np.abs(found - levels * 255).max() < 2.5


def test_other_matrices_are_unsupported():
    """A matrix that is not one of television's is unsupported."""
    for matrix in (3, 8, 10, 14, 255):
        with pytest.raises(Rejected) as problem:
            to_rgb_matrix(Coding(matrix, full_range=True))
        assert problem.value.code.value == "unsupported_format"


def test_a_gray_sequence_stays_gray():
    """A sequence without chroma is shown in gray."""
    grays = [scene.convert("L") for scene in scenes(3)]
    for (frame, _), gray in zip(kept(film(grays, (100, 100, 100))), grays, strict=True):
        assert difference(frame.convert("RGB"), gray.convert("RGB")) < 4


def test_durations_are_kept():
    """Every frame is shown as long as in the source, and the manifest has the number of frames."""
    assert tuple(duration for _, duration in kept(FILM)) == DURATIONS
    assert probe(BytesReader(FILM)).frames == len(DURATIONS)


def test_a_frame_of_hours_is_shown_for_minutes():
    """Durations beyond those of a GIF are cut: WebP has 31 bits for the time of all frames."""
    long = edited(film(scenes(3), (100, 100, 100)), b"stts", 12, struct.pack(">I", 4_000_000_000))
    for kind in (Format.PNG, Format.WEBP):
        assert {duration for _, duration in kept(long, formats=(kind,))} == {655_350}


@pytest.mark.parametrize("kind", [Format.WEBP, Format.AVIF])
def test_a_sequence_stays_one_in_every_animated_format(kind: Format):
    """WebP and AVIF renditions have all frames, JPEG the first."""
    animated, still = render(FILM, recipe(formats=(kind, Format.JPEG), animation=Animation.KEEP))
    assert Image.open(BytesIO(animated.data)).n_frames == len(DURATIONS)
    assert getattr(Image.open(BytesIO(still.data)), "n_frames", 1) == 1


def test_alpha_moves_too():
    """Each frame has its alpha, in stills and in animations."""
    scenery = []
    for number, scene in enumerate(scenes(3)):
        alpha = Image.linear_gradient("L").resize(SIZE).rotate(180 * (number % 2))
        scenery.append(scene.convert("RGBA"))
        scenery[-1].putalpha(alpha)
    data = film(scenery, (100, 100, 100))
    found = [frame for frame, _ in kept(data)]
    for frame, scene in zip(found, scenery, strict=True):
        assert difference(frame.getchannel("A").convert("RGB"), scene.getchannel("A").convert("RGB")) < 4
    still = shown(data, width=SIZE[0], height=SIZE[1])
    assert difference(still.getchannel("A").convert("RGB"), scenery[0].getchannel("A").convert("RGB")) < 4


def edited(data: bytes, kind: bytes, at: int, new: bytes) -> bytes:
    """Return a file with bytes replaced in the first box of a kind, from an offset in its body."""
    start = data.index(kind) + 4 + at
    return data[:start] + new + data[start + len(new) :]


def turned(a: int, b: int, c: int, d: int) -> bytes:
    """Return the film with a matrix of its track."""
    return edited(FILM, b"tkhd", 40, struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30))


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((0, 1, -1, 0), Image.Transpose.ROTATE_270),
        ((-1, 0, 0, -1), Image.Transpose.ROTATE_180),
        ((0, -1, 1, 0), Image.Transpose.ROTATE_90),
        ((-1, 0, 0, 1), Image.Transpose.FLIP_LEFT_RIGHT),
        ((1, 0, 0, -1), Image.Transpose.FLIP_TOP_BOTTOM),
        ((0, 1, 1, 0), Image.Transpose.TRANSPOSE),
        ((0, -1, -1, 0), Image.Transpose.TRANSVERSE),
    ],
)
def test_a_track_is_turned_by_its_matrix(matrix: tuple[int, int, int, int], turn: Image.Transpose):
    """The matrix of the track rotates and mirrors the still picture and all frames."""
    data = turned(*matrix)
    expected = [frame.transpose(turn) for frame, _ in kept(FILM)]
    found = [frame for frame, _ in kept(data, width=SIZE[0], height=SIZE[0])]
    for frame, wanted in zip(found, expected, strict=True):
        assert difference(frame.convert("RGB"), wanted.convert("RGB")) < 1
    assert difference(shown(data, width=96, height=96).convert("RGB"), expected[0].convert("RGB")) < 5


def test_colors_of_a_sequence_are_converted():
    """Code points of the sample entry apply to the still picture and to all frames; `keep` keeps them."""
    data = FILM
    color = box(b"colr", b"nclx", struct.pack(">HHHB", P3, SRGB_TRANSFER, 6, 0x80))
    for kind in (b"hvc1", b"stsd", b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        start = data.index(kind) - 4
        data = (
            data[:start] + struct.pack(">I", struct.unpack_from(">I", data, start)[0] + len(color)) + data[start + 4 :]
        )
    end = data.index(b"hvc1") - 4 + struct.unpack_from(">I", data, data.index(b"hvc1") - 4)[0]
    data = data[: end - len(color)] + color + data[end - len(color) :]
    place = data.index(b"stco") + 12
    data = data[:place] + struct.pack(">I", struct.unpack_from(">I", data, place)[0] + len(color)) + data[place + 4 :]
    still, plain = shown(data, width=96, height=96), shown(FILM, width=96, height=96)
    assert difference(still.convert("RGB"), plain.convert("RGB")) > 2
    for (frame, _), (before, _) in zip(kept(data), kept(FILM), strict=True):
        assert difference(frame.convert("RGB"), before.convert("RGB")) > 2
    assert kept(data, color=Color.KEEP)[0][0].info["icc_profile"]


def test_the_major_brand_chooses_between_still_and_sequence():
    """A file with both is a sequence if its major brand is one of sequences, else a still image."""
    still = heif([tile()])
    for brand, frames in ((b"hevc", 6), (b"msf1", 6), (b"heic", 1), (b"mif1", 1)):
        moved = still.replace(b"ftypheic", b"ftyp" + brand)
        found = probe(BytesReader(moved + FILM[FILM.index(b"moov") - 4 :]))
        assert (found.format, found.frames) == ("heic", frames)
    assert probe(BytesReader(FILM.replace(b"ftyphevc", b"ftypheic"))).frames == 6


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (FILM[:-20], "truncated"),
        (FILM[: FILM.index(b"mdat") + 10], "truncated"),
        (FILM[:-80] + bytes(80), "truncated"),
        (edited(FILM, b"stsz", 8, struct.pack(">I", 9)), "corrupt"),
        (edited(FILM, b"stts", 4, struct.pack(">I", 1)), "corrupt"),
        (edited(FILM, b"mdhd", 12, bytes(4)), "corrupt"),
        (edited(FILM, b"stsc", 4, bytes(4)), "corrupt"),
        (edited(FILM, b"stsz", 4, struct.pack(">I", 7)), "corrupt"),
        (FILM.replace(b"stco", b"none"), "corrupt"),
        (edited(FILM, b"hvc1", 24, struct.pack(">HH", 98, 64)), "corrupt"),
        (edited(FILM, b"hvc1", 24, struct.pack(">HH", 0, 64)), "corrupt"),
        (FILM.replace(b"hvc1", b"avc1"), "unsupported_format"),
        (FILM.replace(b"hvcC", b"none"), "corrupt"),
    ],
)
def test_a_broken_sequence_is_rejected(data: bytes, code: str):
    """Cut files are truncated; missing, contradictory and impossible tables are corrupt."""
    assert refused(data) == code


def test_a_broken_frame_rejects_an_animation_only():
    """If a later frame cannot be decoded, the still picture is made, and the animation is corrupt."""
    (sizes,) = struct.unpack_from(">I", FILM, FILM.index(b"stsz") + 16)
    start = FILM.index(b"mdat") + 4 + sizes
    for kept_bytes in (0, 4, 20):  # the length of the frame is wrong, its kind, or its content
        end = start + kept_bytes
        broken = FILM[:end] + b"\xff" * (len(FILM) - end)
        assert refused(broken) == "corrupt"
        assert difference(shown(broken, width=96, height=64).convert("RGB"), scenes()[0]) < 4


def test_frames_may_not_have_more_bytes_than_the_file():
    """Frames that all point to the same long data are corrupt, before they are read."""
    whole = edited(FILM, b"stsz", 4, struct.pack(">I", len(FILM) // 3))
    assert refused(edited(whole, b"stsc", 4, struct.pack(">IIII", 1, 1, 6, 1)) + bytes(9)) in ("corrupt", "truncated")


def test_memory_counts_the_pictures_of_the_decoder():
    """The prediction for an animation includes the pictures that HEVC predicts others from, and all frames."""
    large = Probe(format="heic", bytes=1 << 20, width=1920, height=1080, frames=30)
    still = check_memory(large, recipe())
    with pytest.raises(Rejected) as problem:
        check_memory(
            Probe(format="heic", bytes=1 << 20, width=4000, height=3000, frames=30), recipe(animation=Animation.KEEP)
        )
    assert problem.value.code.value == "over_memory"
    assert check_memory(large, recipe(animation=Animation.KEEP)) - still > 16 * 3 * 1920 * 1080


def test_a_tone_map_shows_its_ordinary_picture():
    """If a tone map is the primary item, the picture in ordinary range that it is derived from is used."""
    data = heif([Entry(b"tmap", (ispe(64, 64),), bytes(62)), tile(), tile(1)], [(b"dimg", 1, [2, 3])])
    assert np.array_equal(np.asarray(shown(data)), np.asarray(shown(heif([tile()]))))
