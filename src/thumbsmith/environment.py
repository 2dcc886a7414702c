"""The environment variables of this process. No other module reads them."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Final, Self

from thumbsmith.errors import UsageError


class Setting(StrEnum):
    """An environment variable that users or deployments set. `description` says what its value is."""

    description: str

    def __new__(cls, name: str, description: str) -> Self:  # noqa: D102 - the class describes it
        setting = str.__new__(cls, name)
        setting._value_ = name
        setting.description = description
        return setting

    RECIPE = "THUMBSMITH_RECIPE", "The recipe: the path of a file, or TOML."
    SOURCE = "THUMBSMITH_SOURCE", "The address of the store with the sources."
    DESTINATION = "THUMBSMITH_DESTINATION", "The address of the store for thumbnails."
    CATALOGUE = "THUMBSMITH_CATALOGUE", "The name of the catalogue's DynamoDB table."
    QUEUE = "THUMBSMITH_QUEUE", "The URL of the queue that a task processes."
    LARGE = "THUMBSMITH_LARGE", "The URL of the queue for sources that are too large for the function."
    BACKFILL = "THUMBSMITH_BACKFILL", "The URL of the queue that an audit sends repairs to."
    TOKEN = "THUMBSMITH_TOKEN", "The token that requests to the server must carry."
    EVENTS_TOKEN = "THUMBSMITH_EVENTS_TOKEN", "The token that notifications of a server of S3 must carry."
    SIGNING_SECRET = "THUMBSMITH_SIGNING_SECRET", "The secret that signs addresses of pictures on demand."
    ORIGINS = "THUMBSMITH_ORIGINS", "The web origins that may call the API, separated by commas."
    PYTHON = "THUMBSMITH_PYTHON", "The path of the Python interpreter for workers."
    ISOLATION = "THUMBSMITH_ISOLATION", '"required": process no image where an isolation layer is missing.'

    def read(self) -> str | None:
        """Return the variable's value; None if it is not set or empty."""
        return os.environ.get(self) or None


# Variables that send requests through a proxy, in lower case. Programs read them in either case.
PROXIES: Final = frozenset({"http_proxy", "https_proxy", "all_proxy"})

# Where the dynamic linker looks for libraries. An interpreter that was started with one of these needs it again.
LINKER: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")

# Where an interpreter that was moved, or that is embedded in another program, finds its standard library.
HOME: Final = "PYTHONHOME"

# A forked process pays for each page of memory that it touches first. Measured on a 10-megapixel JPEG that takes 100 ms
# in a warm process: a child took 120 ms, with 7,800 page faults. With these settings of glibc's allocator it took
# 110 ms, with 1,200: large pages, a heap that grows by 4 MiB, and all blocks below 32 MiB in the heap. Resident memory
# was the same. A heap that grows by 64 MiB was no faster, and a child took 120 MB in place of 76 for a WebP of 12
# megapixels. libvips computes in a thread, which would otherwise start a second heap (arena_max).
# Binding all symbols in the template saved 1.5 ms in each child.
# https://sourceware.org/glibc/manual/latest/html_node/Memory-Allocation-Tunables.html and ld.so(8)
TUNING: Final = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1:glibc.malloc.top_pad=4194304"
    ":glibc.malloc.mmap_threshold=33554432:glibc.malloc.arena_max=1",
    "LD_BIND_NOW": "1",
}


# A function takes the first delivery of S3's report of a new object for the first one ever only within this time after
# the object was created. S3 sends an event "typically in seconds", and sometimes after a minute or longer. A message
# that comes back from a dead-letter queue begins its count of deliveries again, so it must be older than this.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html
FIRST_DELIVERY_SECONDS: Final = 600

# The namespace of the metrics that functions write to CloudWatch.
METRICS_NAMESPACE: Final = "Thumbsmith"

# "At 1,769 MB, a function has the equivalent of one vCPU."
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
LAMBDA_CORE_MEGABYTES: Final = 1769

# The default memory of a function. Measured in docs/decisions/0023: every picture that the default recipe allows fits,
# and an upload that arrives alone waits for S3 for less money than with a whole core.
LAMBDA_DEFAULT_MEGABYTES: Final = 1024

# Threads of a function for each core. A photograph needs 0.12 s of CPU time and waits for five requests of about 30 ms
# one after the other, so that three images at a time keep a core busy; the fourth allows for requests of 60 ms.
LAMBDA_THREADS_PER_CORE: Final = 4


def allowed_origins() -> frozenset[str]:
    """Return the web origins that THUMBSMITH_ORIGINS lists, in lower case; none if it is not set."""
    origins = Setting.ORIGINS.read() or ""
    return frozenset(each.strip().lower() for each in origins.split(",") if each.strip())


def isolation_required() -> bool:
    """Return whether THUMBSMITH_ISOLATION is `required`. Raises UsageError if it is neither that nor empty."""
    found = Setting.ISOLATION.read()
    if found not in {None, "required"}:
        raise UsageError(
            f"the environment variable {Setting.ISOLATION}: expected 'required' or nothing, found {found!r}"
        )
    return found == "required"


def function_name() -> str:
    """Return this Lambda function's name; an empty text outside of Lambda."""
    return os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")


def function_memory() -> int | None:
    """Return the memory of this Lambda function in bytes, for all its processes together; None outside of Lambda.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    size = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    return int(size) << 20 if size.isdecimal() else None


def trace_header() -> str:
    """Return the trace of the current invocation of this Lambda function, as in X-Amzn-Trace-Id; else an empty text.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    return os.environ.get("_X_AMZN_TRACE_ID", "")


def trace_daemon() -> str:
    """Return host and port of the daemon that takes traces; an empty text if this function is not traced."""
    return os.environ.get("AWS_XRAY_DAEMON_ADDRESS", "")


def function_folder() -> str:
    """Return the folder of this Lambda function's code; outside of Lambda an empty path, the working directory."""
    return os.environ.get("LAMBDA_TASK_ROOT", "")


def aws_settings() -> frozenset[tuple[str, str]]:
    """Return the variables that AWS's tools read: all that begin with AWS_, and those of proxies."""
    return frozenset(
        (name, value)
        for name, value in os.environ.items()
        if name.startswith("AWS_") or (value and name.lower() in PROXIES)
    )


# Variables with the account and the credentials for Google Cloud Storage and for Azure. Other tools use the same names.
# https://gdal.org/en/stable/user/virtual_file_systems.html (GS_...) and
# https://learn.microsoft.com/en-us/azure/storage/blobs/authorize-data-operations-cli (AZURE_...)
CLOUD_PREFIXES: Final = ("AZURE_STORAGE_", "GS_", "STORAGE_EMULATOR_HOST")


def cloud_settings() -> frozenset[tuple[str, str]]:
    """Return the variables that access to Google Cloud Storage and Azure depends on, and those of proxies."""
    return frozenset(
        (name, value)
        for name, value in os.environ.items()
        if value and (name.startswith(CLOUD_PREFIXES) or name.lower() in {*PROXIES, "no_proxy"})
    )


def ca_bundle_setting() -> str | None:
    """Return REQUESTS_CA_BUNDLE, the certificates that AWS's tools trust by default; None if it is not set or empty."""
    return os.environ.get("REQUESTS_CA_BUNDLE") or None


def has_aws_files() -> bool:
    """Return whether a file with settings or credentials for AWS's tools exists and is not empty."""
    config = os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config"
    credentials = os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"
    return any(_is_not_empty(path) for path in (config, credentials))


def _is_not_empty(path: str) -> bool:
    from pathlib import Path  # noqa: PLC0415 - a worker is started before pathlib is loaded

    try:
        return Path(path).expanduser().stat().st_size > 0
    except (OSError, RuntimeError):  # RuntimeError: a user without a home folder
        return False


def aws_region() -> str | None:
    """Return AWS_REGION, else AWS_DEFAULT_REGION; None if neither is set."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None


def has_secrets() -> bool:
    """Return whether this process has variables that may name credentials: of a cloud, or the user's home folder."""
    return any(name.startswith(("AWS_", "HOME", *CLOUD_PREFIXES)) for name in os.environ)


def worker_environment() -> dict[str, str]:
    """Return the whole environment of a worker process. Of this process's it has only where libraries are."""
    return TUNING | {name: os.environ[name] for name in (*LINKER, HOME) if os.environ.get(name)}


# By this variable the script that a shell runs asks for completions. click names it after the program.
COMPLETION_VARIABLE: Final = "_THUMBSMITH_COMPLETE"


def completion_request() -> str | None:
    """Return what a shell asks for while the user completes a command; None in a normal run."""
    return os.environ.get(COMPLETION_VARIABLE) or None


def color_setting() -> bool | None:
    """Return whether output is in color: False for NO_COLOR, True for FORCE_COLOR, None for only on a terminal.

    https://no-color.org and https://force-color.org
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return True if os.environ.get("FORCE_COLOR") else None


def login_shell() -> str:
    """Return the name of the user's shell, such as "bash"; an empty text if SHELL is not set."""
    return os.environ.get("SHELL", "").rpartition("/")[2]


def home_folder() -> str:
    """Return the user's home folder. Raises UsageError if HOME is not set."""
    found = os.environ.get("HOME", "")
    if not found:
        raise UsageError("HOME is not set: set it to your home folder")
    return found


def program_environment(*, first_on_path: str | os.PathLike[str]) -> dict[str, str]:
    """Return this process's environment, with a folder before all others in PATH."""
    return os.environ | {"PATH": os.pathsep.join(filter(None, (os.fspath(first_on_path), os.environ.get("PATH"))))}


def cache_folder() -> str | None:
    """Return the folder for caches: $XDG_CACHE_HOME, else ~/.cache; None for a user without a home folder.

    A path that is not absolute is ignored (https://specifications.freedesktop.org/basedir-spec/latest/).
    """
    folders = (os.environ.get("XDG_CACHE_HOME", ""), os.environ.get("HOME", "") + "/.cache")
    return next((folder for folder in folders if folder.startswith("/") and folder != "/.cache"), None)
