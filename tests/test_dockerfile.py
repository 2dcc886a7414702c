"""The Dockerfile builds a program that works, without Docker: its instructions are carried out in a folder."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.pictures import picture
from tests.unprivileged.as_user import REFUSED

ROOT = Path(__file__).parents[1]
INSTRUCTION = re.compile(r"([A-Z]+) (.+)")


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile and their arguments. None continues on another line."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
    found = [INSTRUCTION.fullmatch(line) for line in lines]
    assert all(found), "the Dockerfile has an instruction of another form"
    return [(match[1], match[2]) for match in found if match]


@dataclass
class Image:
    """The file system of the last stage, below a folder, and what the image runs by default."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    user: int = 0
    folder: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def here(self, text: str) -> str:
        """Return a text in which the absolute paths of the image are below the folder."""
        return re.sub(r"(?<![\w.])/(opt|src)\b", lambda match: f"{self.root}/{match[1]}", text)

    def run(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run the image with these arguments, or with its own, as its user."""
        command = [*self.entrypoint, *(words or self.command)]
        environment = self.environment
        if os.geteuid() == 0:
            command = [sys.executable, "-m", "tests.unprivileged.as_user", str(self.user), str(self.root), *command]
            environment = environment | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command,
            cwd=self.root / self.folder.lstrip("/"),
            env=environment,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=120,
        )
        if done.returncode == REFUSED and os.geteuid() == 0:
            pytest.skip(done.stderr.decode())
        return done


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """Return the image that the Dockerfile describes, with this Python, and without the packages of Debian.

    The folder is readable for the user of the image, which folders of pytest are not.
    """
    with tempfile.TemporaryDirectory(prefix="thumbsmith-image-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        program = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
        for folder in ("bin", "tmp"):
            (Path(name) / folder).mkdir()
        (Path(name) / "tmp").chmod(0o1777)
        (Path(name) / "bin" / "python").symlink_to(program)
        built = Image(Path(name))
        for word, given in instructions():
            _carry_out(built, word, given)
        yield built


def _carry_out(image: Image, word: str, given: str) -> None:
    if word == "FROM":  # each stage begins with its own environment; both have the same folders here
        image.environment = {"PATH": f"{image.root}/bin:/usr/local/bin:/usr/bin:/bin", "HOME": str(image.root)}
    elif word == "ENV":
        values = dict(part.split("=", 1) for part in shlex.split(given))
        image.environment |= {
            name: image.here(value.replace("$PATH", image.environment["PATH"])) for name, value in values.items()
        }
    elif word == "COPY" and not given.startswith("--from"):
        *origins, target = given.split()
        _copy(origins, Path(image.here(target)), into=target.endswith("/"))
    elif word == "RUN" and not given.startswith("apt-get"):
        done = subprocess.run(
            ["/bin/sh", "-ec", image.here(given)],
            env=os.environ | image.environment,
            cwd=image.root,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == 0, f"{given}\n{done.stdout}{done.stderr}"
    elif word == "USER":
        image.user = int(given.partition(":")[0])
    elif word == "WORKDIR":
        image.folder = given
    elif word in {"ENTRYPOINT", "CMD"}:
        words = json.loads(given)
        if word == "ENTRYPOINT":
            image.entrypoint = [str(image.root / "opt/thumbsmith/bin" / words[0]), *words[1:]]
        else:
            image.command = words


def _copy(origins: list[str], target: Path, *, into: bool) -> None:
    for origin in origins:
        place = target / Path(origin).name if into else target
        place.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / origin).is_dir():
            shutil.copytree(ROOT / origin, place, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        else:
            shutil.copyfile(ROOT / origin, place)


def test_the_instructions_are_known():
    """The test carries out each kind of instruction that the Dockerfile has, and the image is not root's."""
    kinds = [word for word, _ in instructions()]
    assert set(kinds) == {"FROM", "RUN", "ENV", "COPY", "USER", "WORKDIR", "EXPOSE", "ENTRYPOINT", "CMD"}
    assert kinds[-4:] == ["WORKDIR", "EXPOSE", "ENTRYPOINT", "CMD"]
    given = dict(instructions())
    assert given["USER"] == "10001:10001"
    assert given["EXPOSE"].split() == ["8080", "9090"]


@pytest.mark.deep
def test_the_image_runs(image: Image):
    """Built from the files that it copies, with the packages that it pins, the image makes a thumbnail as its user.

    Without arguments it prints its help. All extras of the commands in deploy/ are there.
    """
    plain = image.run()
    assert (plain.returncode, b"Usage" in plain.stdout) == (0, True), plain.stderr
    made = image.run("make", "-", "--size", "32", "--format", "webp", "-o", "-", stdin=picture())
    assert (made.returncode, made.stdout[:4]) == (0, b"RIFF"), made.stderr
    doctor = image.run("doctor")
    assert b"not installed" not in doctor.stdout, doctor.stdout.decode()
    for address in ("nats://127.0.0.1:1/photos", "amqp://127.0.0.1:1/photos"):
        worker = image.run("work", address, "--source", "photos", "--destination", "thumbs", "--listen", "nowhere")
        assert b"--listen: expected HOST:PORT" in worker.stderr, worker.stderr
    assert list((image.root / "opt").rglob("thumbsmith/image/native/*.so")), "the native decoder was not compiled"
