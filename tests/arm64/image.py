"""The disk of the emulated machine: Debian for arm64, the pinned wheels, the function's zip, and this checkout."""

import hashlib
import json
import lzma
import os
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.arm64.debian import Suite, architecture, unpack
from thumbsmith.cdk import packaging

CHECKOUT = Path(__file__).parents[2]

# The release whose Python is the function's default.
RELEASE = "trixie"
PYTHON = "3.13"
PLATFORM = packaging.PLATFORMS["arm64"]

TOOLS = ("qemu-system-arm", f"python{PYTHON}")
GUEST = (f"python{PYTHON}", "libstdc++6", "busybox-static", "strace", "coreutils", "util-linux", "bash", "grep")
KERNEL = "linux-image-arm64"

# What the first file system loads: a virtio disk with ext4, and the folder that is shared with this machine.
MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "9pnet_virtio", "9p", "virtio_rng")
APPLETS = ("mount", "umount", "ip", "awk", "ps", "sed", "find", "tar", "hostname", "poweroff")

# Where each set of wheels is unpacked on the guest, and the file that pins it.
SITE = f"lib/python{PYTHON}/site-packages"
ENVIRONMENTS = {
    f"opt/venv/{SITE}": ("requirements/base.txt", "requirements/guest.txt"),
    f"opt/project/.venv-runtime/{SITE}": ("requirements/runtime.txt",),
    f"opt/project/.venv-servers/{SITE}": ("requirements/servers.txt",),
}
PROJECT = ("src", "tests", "bench", "docs", "pyproject.toml", "README.md", "README.es.md", "CONTRIBUTING.md")
MEGABYTES = 3000

INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /root
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
for module in {modules}; do /bin/busybox insmod /m/$module.ko; done
i=0; while [ ! -b /dev/vda ] && [ $i -lt 100 ]; do /bin/busybox sleep 0.2; i=$((i + 1)); done
/bin/busybox mount -t ext4 -o ro /dev/vda /root || exec /bin/busybox poweroff -f
for each in dev proc sys; do /bin/busybox mount --move /$each /root/$each; done
exec /bin/busybox switch_root /root /machine-init
"""

# A machine as Lambda's: nothing but /tmp can be written to, and there is no /dev/shm.
MACHINE_INIT = f"""#!/bin/sh
export PATH=/usr/local/bin:/usr/bin:/bin HOME=/tmp LANG=C.UTF-8
mount -t tmpfs -o size=3g,mode=1777 tmp /tmp
mount -t tmpfs -o size=64m run /run
mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288 share /share
mount -t cgroup2 none /sys/fs/cgroup
ip link set lo up
cd /opt/project && python{PYTHON} -B -m tests.arm64.guest
sync
poweroff -f
"""


@dataclass(frozen=True)
class Image:
    """The files that the emulator starts a machine from."""

    tools: Path
    kernel: Path
    first: Path
    disk: Path


def build(folder: Path, photos: Sequence[Path], steps: object) -> Image:
    """Write the image; what is downloaded is kept in the folder for the next time. Raises CalledProcessError."""
    folder.mkdir(exist_ok=True)
    tools, kernel, root = folder / "tools", folder / "kernel", folder / "root"
    if not _is_current(folder):
        for each in (tools, kernel, root):
            shutil.rmtree(each, ignore_errors=True)
        unpack(Suite(folder / "apt-tools", RELEASE, architecture()).packages(*TOOLS), tools)
        guest = Suite(folder / "apt-guest", RELEASE, "arm64")
        unpack(guest.packages(*GUEST), root)
        unpack([guest.package(guest.depends_on(KERNEL, "linux-image-"))], kernel)
        for place, pinned in ENVIRONMENTS.items():
            _install(root / place, pinned)
        _furnish(root)
        _compile(tools, root, f"usr/lib/python{PYTHON}", *ENVIRONMENTS)
        (folder / "made-of").write_text(_made_of())
    _add_project(root, photos, steps)
    _compile(tools, root, "opt/project/src", "opt/project/tests", "var/task")
    (vmlinuz,) = (kernel / "boot").glob("vmlinuz-*")
    (folder / "first.cpio").write_bytes(_first_file_system(kernel, root))
    disk = folder / "disk.ext4"
    disk.unlink(missing_ok=True)
    options = ["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0", "-d", str(root), str(disk)]
    subprocess.run(["/usr/sbin/mke2fs", *options, f"{MEGABYTES}M"], check=True)
    return Image(tools, vmlinuz, folder / "first.cpio", disk)


def program(tools: Path, name: str) -> list[str]:
    """Return the words that start a program of the tools, by the tools' own loader and libraries."""
    (loader,) = tools.glob("usr/lib/*-linux-gnu/ld-linux*.so.*")
    libraries = [str(each) for each in (tools / "usr" / "lib").glob("*-linux-gnu*")]
    return [str(loader), "--library-path", ":".join(libraries), str(tools / "usr" / "bin" / name)]


def _is_current(folder: Path) -> bool:
    record = folder / "made-of"
    return record.exists() and record.read_text() == _made_of()


def _made_of() -> str:
    """Return a digest of everything that decides what is downloaded and installed."""
    pinned = sorted({name for names in ENVIRONMENTS.values() for name in names})
    files = [Path(__file__), Path(__file__).with_name("debian.py"), *(CHECKOUT / name for name in pinned)]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _furnish(root: Path) -> None:
    """Add what packages leave to their scripts: users, mount points, links to busybox, environments for Python."""
    for name in ("dev", "proc", "sys", "tmp", "run", "share", "etc", "root", "var/task", "usr/local/bin"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    _link(root / "usr/bin/sh", "bash")
    for name in APPLETS:
        _link(root / "usr/local/bin" / name, "/usr/bin/busybox")
    (root / "machine-init").write_text(MACHINE_INIT)
    (root / "machine-init").chmod(0o755)
    for place in ENVIRONMENTS:
        environment = root / place.removesuffix(f"/{SITE}")
        (environment / "bin").mkdir(parents=True, exist_ok=True)
        _link(environment / "bin/python", f"/usr/bin/python{PYTHON}")
        for program in (each for each in (root / place / "bin").glob("*") if each.is_file()):
            content, target = program.read_bytes(), environment / "bin" / program.name
            if content.startswith(b"#!"):  # names the interpreter of this machine
                content = f"#!/{place.removesuffix(f'/{SITE}')}/bin/python\n".encode() + content.partition(b"\n")[2]
            target.write_bytes(content)
            target.chmod(0o755)
        settings = f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {PYTHON}\n"
        (environment / "pyvenv.cfg").write_text(settings)


def _link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _install(target: Path, pinned: Sequence[str]) -> None:
    """Unpack the wheels that these files pin, for the guest. Raises CalledProcessError."""
    files = [word for name in pinned for word in ("-r", str(CHECKOUT / name))]
    options = ["--python-version", PYTHON, "--python-platform", PLATFORM, "--only-binary", ":all:", "--no-deps"]
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(target), "--require-hashes"]
    subprocess.run([*uv, "--link-mode", "copy", *options, *files], check=True)


def _compile(tools: Path, root: Path, *folders: str) -> None:
    """Keep the bytecode of all modules in these folders: the emulated machine would take minutes for it."""
    flags = ["-m", "compileall", "-q", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(root)]
    command = [*program(tools, f"python{PYTHON}"), *flags, *(str(root / each) for each in folders)]
    subprocess.run(command, env={"PYTHONHOME": str(tools / "usr")}, check=False)  # some packages ship broken samples


def _add_project(root: Path, photos: Sequence[Path], steps: object) -> None:
    """Put this checkout, the function's code, photographs and the steps to run on the disk."""
    project, installed = root / "opt/project", root / f"opt/venv/{SITE}"
    for name in PROJECT:
        shutil.rmtree(project / name, ignore_errors=True)
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy
        copy(CHECKOUT / name, project / name)
    (project / "steps.json").write_text(json.dumps(steps))
    (installed / "thumbsmith.pth").write_text("/opt/project/src\n")
    described = installed / "thumbsmith-0.1.0.dist-info"
    described.mkdir(exist_ok=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: thumbsmith\nVersion: 0.1.0\n")
    command = root / "opt/venv/bin/thumbsmith"
    command.write_text("#!/opt/venv/bin/python\nimport sys\n\nfrom thumbsmith.cli import main\n\nsys.exit(main())\n")
    command.chmod(0o755)
    _link(root / "usr/local/bin/thumbsmith", "/opt/venv/bin/thumbsmith")
    shutil.rmtree(root / "var/task")
    archive = root.parent / "function.zip"
    packaging.build(archive, python=PYTHON, architecture="arm64")
    with zipfile.ZipFile(archive) as code:
        code.extractall(root / "var/task")
    (root / "opt/photos").mkdir(exist_ok=True)
    for photo in photos:
        shutil.copy2(photo, root / "opt/photos")


def _first_file_system(kernel: Path, root: Path) -> bytes:
    """Return a cpio archive (newc) of busybox, the modules in the order of their dependencies, and /init."""
    modules = {_module_name(path): path for path in kernel.glob("usr/lib/modules/*/**/*.ko*")}
    wanted: list[str] = []
    for name in MODULES:
        _add_module(name, modules, wanted)
    entries = [(name, b"", stat.S_IFDIR | 0o755) for name in ("bin", "m", "proc", "sys", "dev", "root")]
    entries.append(("bin/busybox", (root / "usr/bin/busybox").read_bytes(), stat.S_IFREG | 0o755))
    entries.append(("init", INIT.format(modules=" ".join(wanted)).encode(), stat.S_IFREG | 0o755))
    entries += [(f"m/{name}.ko", _module(modules[name]), stat.S_IFREG | 0o644) for name in wanted]
    return b"".join(_entry(number, *entry) for number, entry in enumerate([*entries, ("TRAILER!!!", b"", 0)], 1))


def _module_name(path: Path) -> str:
    return path.name.split(".ko")[0].replace("-", "_")


def _module(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def _add_module(name: str, modules: dict[str, Path], wanted: list[str]) -> None:
    if name in wanted or name not in modules:  # what is no module is built into the kernel
        return
    found = re.search(rb"(?:^|\0)depends=([^\0]*)\0", _module(modules[name]))
    for each in found[1].decode().split(",") if found and found[1] else ():
        _add_module(each.replace("-", "_"), modules, wanted)
    wanted.append(name)


def _entry(number: int, name: str, data: bytes, mode: int) -> bytes:
    """Return one file of the archive: https://docs.kernel.org/driver-api/early-userspace/buffer-format.html."""
    encoded = os.fsencode(name) + b"\0"
    header = b"070701" + b"".join(
        b"%08X" % field for field in (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    )
    head = header + encoded
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)
