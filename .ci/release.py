"""Builds what a release publishes, in a clean place, and uses it as a stranger would.

`python .ci/release.py` writes dist/: the sdist, a wheel for each processor and one in pure Python, all built from the
files in the sdist; the list of all packages and of the C libraries inside of them (SBOM, CycloneDX); and SHA-256
checksums. Then each extra is installed from dist/ into an environment of its own, and its feature is used. The first
failure stops the check with exit code 1.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import urllib.request
from pathlib import Path

from thumbsmith import __version__

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
NAME = f"thumbsmith-{__version__}"
TOOLS = ROOT / ".venv-release/bin"
UV = ROOT / ".venv/bin/uv"
MACHINES = ("x86_64", "aarch64")

DEMO = ", 0 fresh; "
QUEUES = {"nats": "nats", "amqp": "pika"}  # extras for queues, which are also schemes of addresses, and their modules
VALIDATE = """
import pathlib, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(pathlib.Path(sys.argv[1]).read_text()) or "valid")
"""
DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="60"><rect width="90" height="60"/></svg>'


def run(*command: str | Path, cwd: Path = ROOT, code: int = 0, **environment: str) -> str:
    """Run a command without this project's settings; return its output. Another exit code ends the check."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV", "PIPX"))}
    done = subprocess.run(
        command, cwd=cwd, env=kept | environment, check=False, capture_output=True, text=True, timeout=1800
    )
    if done.returncode != code:
        words = " ".join(map(str, command))
        sys.exit(f"{words}: exit code {done.returncode}, expected {code}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def empty(clean: Path) -> Path:
    """Return a new folder."""
    return Path(tempfile.mkdtemp(dir=clean))


def expect(found: str, wanted: str, where: str) -> None:
    """End the check unless the output contains this text."""
    if wanted not in found:
        sys.exit(f"{where}: expected {wanted!r} in the output, found:\n{found}")
    print(f"ok  {where}", flush=True)


def build(clean: Path) -> Path:
    """Build the sdist, unpack it, and build all else from it; return the unpacked folder."""
    shutil.rmtree(DIST, ignore_errors=True)
    hatch = (sys.executable, "-m", "hatchling", "build", "-d", DIST, "-t")
    run(*hatch, "sdist")
    with tarfile.open(DIST / f"{NAME}.tar.gz") as sdist:
        sdist.extractall(clean, filter="data")
    source = clean / NAME
    for machine in MACHINES:
        run(*hatch, "wheel", cwd=source, WHEEL_MACHINE=machine)
    run(*hatch, "wheel", cwd=source, CC="false")
    run(*hatch, "sdist", cwd=source)  # the sdist of the sdist is the same: nothing is missing in it
    sbom = ("--pyproject", "pyproject.toml", "--output-reproducible", "--output-format", "JSON")
    run(TOOLS / "cyclonedx-py", "requirements", "requirements/cdk.txt", *sbom, "-o", DIST / f"{NAME}.cdx.json")
    run(sys.executable, ".ci/sbom.py", DIST / f"{NAME}.cdx.json")
    expect(run(TOOLS / "python", "-c", VALIDATE, DIST / f"{NAME}.cdx.json"), "valid", "list of packages")
    packages = sorted(path for path in DIST.iterdir() if path.suffix in {".whl", ".gz"})
    expect(run(TOOLS / "twine", "check", "--strict", *packages), "PASSED", "metadata and long description")
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(DIST.iterdir())]
    (DIST / "SHA256SUMS").write_text("".join(sums))
    print(f"ok  {len(sums)} files built in {DIST.name}/", flush=True)
    return source


def local_wheel() -> Path:
    """Return the wheel for this machine: the pure one where none is native."""
    machine = os.uname().machine if sys.platform == "linux" else "any"
    return next(iter(DIST.glob(f"*_{machine}.whl")), DIST / f"{NAME}-py3-none-any.whl")


def installed(clean: Path, name: str, requirement: str) -> Path:
    """Install a built file with an extra into a new environment; return the folder of its programs."""
    environment = clean / name
    run(UV, "venv", "--quiet", "--no-config", "--python", sys.executable, environment)
    run(UV, "pip", "install", "--quiet", "--python", environment / "bin/python", requirement)
    return environment / "bin"


def use(clean: Path, name: str, programs: Path) -> None:
    """Run the demo, and the feature that the extra adds. Without the extra, the message names it."""
    here = empty(clean)
    thumbsmith = programs / "thumbsmith"
    expect(run(thumbsmith, "--version", cwd=here), f"thumbsmith {__version__}", f"{name}: version")
    expect(run(thumbsmith, "demo", cwd=here), DEMO, f"{name}: demo")
    (here / "drawing.svg").write_text(DRAWING)
    make = (thumbsmith, "make", "drawing.svg", "--size", "32")
    if name in {"documents", "all"}:
        run(*make, cwd=here)
        expect(str(list(here.iterdir())), "drawing.svg.32.webp", f"{name}: SVG")
    else:
        expect(run(*make, cwd=here, code=1), "documents", f"{name}: SVG is refused")
    if name in {"web", "all"}:
        serve(here, thumbsmith, name)
    else:
        expect(run(thumbsmith, "serve", cwd=here, code=2), 'the extra "web": run ', f"{name}: serve is refused")
    for extra, module in QUEUES.items():
        if name in {extra, "all"}:
            run(programs / "python", "-c", f"import {module}", cwd=here)
        else:
            queue = (thumbsmith, "work", f"{extra}://127.0.0.1:9/photos", "--source", "a", "--destination", "b")
            expect(run(*queue, cwd=here, code=2), f'the extra "{extra}": run ', f"{name}: {extra} is refused")
    if name in {"cdk", "all"}:
        code = "from thumbsmith.cdk import ThumbnailGenerator; print(ThumbnailGenerator.__name__)"
        expect(run(programs / "python", "-c", code, cwd=here), "ThumbnailGenerator", f"{name}: constructs")


def serve(here: Path, thumbsmith: Path, name: str) -> None:
    """Start the server on a free port, and ask whether it is healthy."""
    command = (thumbsmith, "serve", "--port", "0")
    with subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            assert server.stdout
            line = next((line for line in server.stdout if "http://" in line), "")
            address = "http://" + line.partition("http://")[2].split()[0].rstrip("/")
            with urllib.request.urlopen(f"{address}/health", timeout=60) as answer:
                expect(str(answer.status), "200", f"{name}: serve")
        finally:
            server.terminate()


def main() -> None:
    """Build, check and use everything."""
    with tempfile.TemporaryDirectory(prefix="thumbsmith-release-") as folder:
        clean = Path(folder)
        source = build(clean)
        wheel = local_wheel()
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for extra in ("", *project["optional-dependencies"]):
            name = extra or "plain"
            use(clean, name, installed(clean, name, f"{wheel}[{extra}]" if extra else str(wheel)))
        use(clean, "sdist", installed(clean, "sdist", str(DIST / f"{NAME}.tar.gz")))
        uvx = run(UV, "tool", "run", "--from", wheel, "thumbsmith", "demo", cwd=empty(clean))
        expect(uvx, DEMO, "uvx")
        homes = {name: str(clean / name.lower()) for name in ("PIPX_HOME", "PIPX_BIN_DIR", "PIPX_MAN_DIR")}
        run(TOOLS / "pipx", "install", "--quiet", "--python", sys.executable, wheel, cwd=clean, **homes)
        expect(run(clean / "pipx_bin_dir/thumbsmith", "demo", cwd=empty(clean)), DEMO, "pipx")
        tests = (
            "tests/recipe",
            "tests/reconcile",
            "tests/test_errors.py",
            "tests/test_readme.py",
            "tests/test_package.py",
        )
        pytest = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)
        expect(run(*pytest, cwd=source, PYTHONPATH=str(source / "src")), " passed", "the sdist tests itself")


if __name__ == "__main__":
    main()
