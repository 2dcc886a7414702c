"""The native decoder under sanitizers: it reads and writes within its buffers, and computes nothing undefined."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.native.building import HERE, SANITIZERS, SMALL, build
from tests.native.encoder import long_blocks_then_short_ones
from tests.native.samples import odd_samples, samples

# Tables take most of the time of the decoder as built, and damage rather concerns small buffers.
BUILDS = pytest.mark.parametrize(("options", "count"), [((), 1_000), (SMALL, 4_000)], ids=["as built", "small buffers"])
TIMES_LONGER = 20
FUZZER_RUNS = 50_000
EMULATOR = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
CLANG = shutil.which("clang") or shutil.which("clang-14")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return files of every kind, none of them large."""
    folder = tmp_path_factory.mktemp("files")
    found = [data for _, data in [*samples(), *odd_samples(60)] if len(data) < 12_000]
    paths = [folder / f"{number}.jpg" for number in range(len(found))]
    for path, data in zip(paths, found, strict=True):
        path.write_bytes(data)
    return paths[:: max(1, len(paths) // 200)]


def mutants(program: Path | str, seed: int, count: int, files: list[Path]) -> dict[str, int]:
    """Decode mutants of the files; return how many had each status. Fails with what a sanitizer reports."""
    done = subprocess.run(
        [*str(program).split(), str(seed), str(count), *files], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    pairs = (part.split(" ", 1) for part in done.stdout.strip().split(", "))
    return {name: int(number) for number, name in pairs}


@BUILDS
def test_thousands_of_mutants_do_no_harm(tmp_path: Path, files: list[Path], options: tuple[str, ...], count: int):
    """5,000 mutants of files of every kind, in memory of exactly their size: the sanitizers find nothing."""
    program = build(tmp_path / "fuzz", str(HERE / "fuzz.c"), *SANITIZERS, *options)
    found = mutants(program, 1, count, files)
    assert found["done"] > 100
    assert found["damaged"] > 100
    assert found["unsupported"] > 100


def test_a_lane_from_a_wrong_place_has_room(tmp_path: Path):
    """A second lane may decode more blocks than the first one before both meet: it writes none beyond its room."""
    paths = [tmp_path / f"{count}.jpg" for count in range(6_000, 6_300, 20)]
    for path in paths:
        path.write_bytes(long_blocks_then_short_ones(40, int(path.stem)))
    program = build(tmp_path / "fuzz", str(HERE / "fuzz.c"), *SANITIZERS, *SMALL)
    assert mutants(program, 1, 0, paths)["done"] == len(paths)


@pytest.mark.deep
@BUILDS
def test_a_hundred_thousand_mutants_do_no_harm(tmp_path: Path, files: list[Path], options: tuple[str, ...], count: int):
    """100,000 other mutants: the sanitizers find nothing."""
    program = build(tmp_path / "fuzz", str(HERE / "fuzz.c"), *SANITIZERS, *options)
    assert mutants(program, 2, TIMES_LONGER * count, files)["damaged"] > 2 * count


@pytest.mark.deep
@pytest.mark.skipif(EMULATOR is None, reason="there is no qemu-aarch64, of the Debian package qemu-user-static")
def test_the_other_processor_decodes_the_same(tmp_path: Path, files: list[Path]):
    """On arm64, emulated, the same files and mutants have the same statuses and pixels as here."""
    zig = f"{sys.executable} -m ziglang cc -target"
    here = build(tmp_path / "here", str(HERE / "fuzz.c"), *SMALL)
    there = build(tmp_path / "there", str(HERE / "fuzz.c"), *SMALL, "-static", compiler=f"{zig} aarch64-linux-musl")
    assert mutants(here, 3, 1_000, files) == mutants(f"{EMULATOR} {there}", 3, 1_000, files)


@pytest.mark.deep
@pytest.mark.skipif(CLANG is None, reason="there is no clang, which has libFuzzer")
def test_inputs_that_reach_new_code_do_no_harm(tmp_path: Path, files: list[Path]):
    """libFuzzer, which looks for inputs that reach new code, finds nothing: with small buffers, from these files on."""
    options = ("-DLIBFUZZER", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all", *SMALL)
    program = build(tmp_path / "fuzz", str(HERE / "fuzz.c"), *options, compiler=CLANG)
    (tmp_path / "corpus").mkdir()
    command = [program, f"-runs={FUZZER_RUNS}", "-seed=1", "-max_len=4096", "corpus", str(files[0].parent)]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
