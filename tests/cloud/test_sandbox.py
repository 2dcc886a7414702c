"""The resources of the function under Lambda's restrictions: start, overhead and memory."""

import compileall
import io
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from PIL import Image

from tests.cloud.bucket import BUCKET, client, event, put
from tests.cloud.sandbox import HANDLER, Sandbox, sandbox, why_no_group, why_no_sandbox
from tests.corpus import needs_corpus, photos
from tests.servers.fixtures import needs_servers

REASON = why_no_sandbox() or why_no_group()
pytestmark = [needs_servers, pytest.mark.deep, pytest.mark.skipif(bool(REASON), reason=str(REASON))]

BENCH = Path(__file__).parents[2] / "bench"
WHOLE_CORE, SMALL = 1769, 512  # megabytes
ROUNDS = 7
WARM_ROUNDS = 30
PEER_NEEDS = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py", "urllib3", "PIL", "pillow.libs")
PEER = """
from cold_peer import main

def handler(event, context):
    main(event["bucket"], event["key"], "peer")
    return {"images": [{"outcome": "made"}]}
"""
NOTHING = """
def handler(event, context):
    return {"images": [{"outcome": "made"}]}
"""


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return boto3 and Pillow doing the same, with bytecode."""
    folder, packages = tmp_path_factory.mktemp("peer"), Path(sysconfig.get_path("purelib"))
    for name in PEER_NEEDS:
        copy = shutil.copytree if (packages / name).is_dir() else shutil.copy
        copy(packages / name, folder / name)
    shutil.copy(BENCH / "cold_peer.py", folder)
    (folder / "peer.py").write_text(PEER)
    (folder / "nothing.py").write_text(NOTHING)
    compileall.compile_dir(folder, quiet=2)
    return folder


def jpeg(width: int, height: int, **options: Any) -> bytes:
    """Return a photograph of this size."""
    with Image.open(photos()[0]) as photo:
        out = io.BytesIO()
        photo.convert("RGB").resize((width, height)).save(out, "jpeg", quality=85, **options)
    return out.getvalue()


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Return a function that prints a measurement, even if the test passes."""

    def show(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return show


@pytest.fixture
def small(code: Path, environment: dict[str, str], tmp_path: Path) -> Iterator[Sandbox]:
    """Give the function with 512 MB."""
    with sandbox(code, HANDLER, SMALL, environment, tmp_path / "log") as running:
        yield running


def outcome(answer: dict[str, Any]) -> tuple[str, str | None]:
    """Return outcome and code of the only image."""
    (image,) = answer["images"]
    return image["outcome"], image.get("code")


@needs_corpus
@pytest.mark.parametrize("megabytes", [SMALL, WHOLE_CORE])
def test_the_cold_start_is_faster_than_boto3(
    code: Path,
    peer: Path,
    environment: dict[str, str],
    tmp_path: Path,
    megabytes: int,
    report: Callable[[str], None],
):
    """Start and first picture take at most 0.85 of the CPU time of boto3 and Pillow."""
    put(environment, "first.jpg", jpeg(1732, 1155))
    functions = {"ours": (code, HANDLER), "peer": (peer, "peer.handler"), "nothing": (peer, "nothing.handler")}
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    cpu: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(ROUNDS):
        for name, (folder, handler) in functions.items():
            client(environment["AWS_ENDPOINT_URL"]).delete_object(Bucket=BUCKET, Key="thumbs/first.jpg/manifest.json")
            with sandbox(folder, handler, megabytes, environment, tmp_path / f"{name}{number}") as running:
                answer, took = running.invoke(event("first.jpg"))
                cpu[name].append(running.group.cpu_seconds)
            assert outcome(answer)[0] in {"made", "fresh"}, answer
            seconds[name].append(took)
    first = {name: min(each) for name, each in seconds.items()}  # the minimum, because of other load
    text = ", ".join(f"{name} {took:.3f} s ({median(cpu[name]):.3f} s of CPU)" for name, took in first.items())
    report(f"{megabytes} MB, INIT and first picture: {text}; ratio {first['ours'] / first['peer']:.2f}")
    assert median(cpu["ours"]) <= 0.85 * median(cpu["peer"]), cpu


@needs_corpus
def test_24_megapixels_fit_512_megabytes(small: Sandbox, environment: dict[str, str], report: Callable[[str], None]):
    """JPEGs of 24 megapixels, baseline and progressive, get thumbnails with 512 MB."""
    for name, options in (("baseline", {}), ("progressive", {"progressive": True})):
        put(environment, f"{name}.jpg", jpeg(6000, 4000, **options))
        assert outcome(small.invoke(event(f"{name}.jpg"))[0]) == ("made", None)
    report(f"24 MP JPEG: {small.group.peak / 1e6:.0f} MB at most of {SMALL}")
    assert small.starts == 1


@needs_corpus
def test_12_megapixels_of_heic_fit_512_megabytes(
    small: Sandbox, environment: dict[str, str], report: Callable[[str], None]
):
    """An HEIC of 12 megapixels gets thumbnails with 512 MB."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="no encoder of HEIC to make a test picture with")
    with Image.open(photos()[0]) as photo:
        out = io.BytesIO()
        pillow_heif.from_pillow(photo.convert("RGB").resize((4032, 3024))).save(out, quality=60)
    put(environment, "phone.heic", out.getvalue())
    assert outcome(small.invoke(event("phone.heic"))[0]) == ("made", None)
    report(f"12 MP HEIC: {small.group.peak / 1e6:.0f} MB at most of {SMALL}")
    assert small.starts == 1


@needs_corpus
def test_too_much_memory_is_a_rejection(code: Path, environment: dict[str, str], tmp_path: Path):
    """A source that needs more memory than the function has is rejected, and the next one is made.

    If the kernel killed the function instead, it would be started a second time.
    """
    recipe = {"THUMBSMITH_RECIPE": "[limits]\nmax_memory = 8589934592\nmax_cpu_seconds = 60\n"}
    out = io.BytesIO()
    Image.new("RGBA", (9900, 9900)).save(out, "png", compress_level=1)  # 392 MB of pixels
    put(environment, "huge.png", out.getvalue())
    put(environment, "next.jpg", jpeg(1200, 800))
    with sandbox(code, HANDLER, SMALL, environment | recipe, tmp_path / "log") as running:
        assert outcome(running.invoke(event("huge.png"))[0]) == ("rejected", "over_memory")
        assert outcome(running.invoke(event("next.jpg"))[0]) == ("made", None)
        assert running.starts == 1


@needs_corpus
def test_the_overhead_is_small(code: Path, environment: dict[str, str], tmp_path: Path, report: Callable[[str], None]):
    """A warm invocation takes at most 5 ms in addition to its stages."""
    with sandbox(code, HANDLER, WHOLE_CORE, environment, tmp_path / "log") as running:
        for number in range(WARM_ROUNDS):
            put(environment, f"warm{number}.jpg", jpeg(1200, 800))
            running.invoke(event(f"warm{number}.jpg"))
        besides = [took - stages for took, stages in zip(running.durations, running.stages, strict=True)]
    report(f"besides: {min(besides):.1f} ms at the least, {median(besides[5:]):.1f} in the median")
    assert min(besides) <= 5
