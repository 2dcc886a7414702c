"""`thumbsmith serve`: the HTTP API and the page for a folder."""

from __future__ import annotations

import ipaddress
import logging
import signal
import threading
import webbrowser
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from thumbsmith.cli.arguments import jobs_option, recipe_option
from thumbsmith.cli.command import FOLDER_PATH, Number, command
from thumbsmith.cli.scope import scope_of
from thumbsmith.cli.terminal import Console
from thumbsmith.cli.wording import printable
from thumbsmith.dispatch.consume import opened_queue
from thumbsmith.environment import Setting
from thumbsmith.errors import UsageError
from thumbsmith.installation import missing_extra
from thumbsmith.recipe.recipe import RECIPE_FILE
from thumbsmith.reconcile.protocol import Options

if TYPE_CHECKING:
    from thumbsmith.web import WebSettings

# Where the user sets what a message of WebSettings is about.
_OPTIONS: Final = {
    "token": Setting.TOKEN,
    "events token": Setting.EVENTS_TOKEN,
    "signing secret": Setting.SIGNING_SECRET,
    "root path": "--root-path",
}

REQUIRED_PACKAGES: Final = ("httptools", "python_multipart", "starlette", "uvicorn", "uvloop")


@command(no_args_is_help=False)
@click.argument(
    "source",
    metavar="[SRC]",
    required=False,
    type=FOLDER_PATH,
    help="The folder, or s3://BUCKET/PREFIX, with the images.",
)
@click.argument(
    "destination",
    metavar="[DST]",
    required=False,
    type=FOLDER_PATH,
    help="The folder, or s3://BUCKET/PREFIX, for the thumbnails.",
)
@click.option(
    "--root",
    metavar="DIR",
    type=FOLDER_PATH,
    help="Instead of SRC and DST: the folder of DIR/sources and DIR/thumbnails. Default: the working folder.",
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in the browser.")
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", help="The address to listen on. Default: 127.0.0.1.")
@click.option(
    "--port",
    type=Number(0, 65535),
    default=8080,
    metavar="N",
    help="The port to listen on. 0 selects a free one. Default: 8080.",
)
@recipe_option
@jobs_option
@click.option(
    "--allow-host",
    metavar="NAME",
    multiple=True,
    help="Another host name of this server. Repeatable. Default: only its address.",
)
@click.option(
    "--allow-origin",
    metavar="ORIGIN",
    multiple=True,
    help="Another site whose pages may use the API and show the images (CORS). Repeatable. Default: none.",
)
@click.option(
    "--events-to",
    metavar="QUEUE",
    help="Store the notifications of POST /events in this queue, for `thumbsmith work`. Default: handle them here.",
)
@click.option("--root-path", metavar="PATH", default="", help="The prefix of all paths behind a proxy: /thumbs.")
@click.option("--trust-proxy", is_flag=True, help="Use the prefix that the proxy sends in X-Forwarded-Prefix.")
def serve(
    source: str | None,
    destination: str | None,
    root: str | None,
    open_page: bool,
    host: str,
    port: int,
    recipe: str | None,
    jobs: int | None,
    allow_host: tuple[str, ...],
    allow_origin: tuple[str, ...],
    events_to: str | None,
    root_path: str,
    trust_proxy: bool,
) -> int:
    """Serve an HTTP API and a page for uploads to a folder or bucket, and for its thumbnails.

    Only this machine has access. With a token in $THUMBSMITH_TOKEN, --host may be any address.
    Images that other programs write to the source get thumbnails too: in a folder at once, in a bucket when they are
    requested.

    Examples:
      thumbsmith serve ./photos ./thumbs --open

      thumbsmith serve s3://my-photos s3://my-thumbs --port 9000

      thumbsmith serve --root ./shop --port 9000 --recipe shop.toml
    """
    try:
        from thumbsmith.web import application  # noqa: PLC0415 - an extra
        from thumbsmith.web.server import create_server, listen  # noqa: PLC0415 - as above
    except ModuleNotFoundError as missing:
        if missing.name not in REQUIRED_PACKAGES:
            raise
        raise UsageError(missing_extra("thumbsmith serve", "web")) from None
    settings = _settings(host, allow_host, allow_origin, root_path, trusts_proxy=trust_proxy)
    settings = replace(settings, recipe_file=_recipe_file(recipe))
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    images, thumbnails = _addresses(source, destination, Path(root) if root is not None else None)
    scope = scope_of(images, thumbnails, recipe, Options())
    scope.source.check_reachable()
    scope.destination.as_destination().check_writable()
    with ExitStack() as opened:
        queue = opened.enter_context(opened_queue(events_to)) if events_to else None
        app = application(scope, settings, jobs=jobs, events_to=queue)
        listener = opened.enter_context(listen(host, port))
        name = f"[{host}]" if ":" in host else host
        address = f"http://{name}:{listener.getsockname()[1]}{settings.root_path}/"
        what = str(Path(root or ".").resolve()) if source is None else f"{scope.source.url} and {scope.destination.url}"
        Console().print(f"{address} serves {printable(what)}; Ctrl-C to stop")
        if open_page:
            # In a thread, because a browser in the terminal runs until it is closed. The socket is open already.
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        running = create_server(app)
        running.run(sockets=[listener])
    # The server ends by a signal and raises it again, but the event loop sometimes suppresses that.
    return 130 if running.started else 1


def _addresses(source: str | None, destination: str | None, root: Path | None) -> tuple[str, str]:
    """Return the addresses of images and thumbnails, and create the folders of a root. Raises UsageError."""
    if source is None:
        folder = root or Path()
        _create_folders(folder)
        return str(folder / "sources"), str(folder / "thumbnails")
    if destination is None:
        raise UsageError(f"serve {source}: expected SRC and DST: a second folder or bucket, for the thumbnails")
    if root is not None:
        raise UsageError("--root: expected either this option or SRC and DST, found both")
    return source, destination


def _settings(
    host: str, names: Iterable[str], origins: Iterable[str], root_path: str, *, trusts_proxy: bool
) -> WebSettings:
    """Return the access settings. Raises UsageError if everyone would have access."""
    from thumbsmith.web.settings import LOOPBACK_HOSTS, WebSettings  # noqa: PLC0415 - an extra

    token = Setting.TOKEN.read()
    if not _is_loopback(host) and token is None:
        raise UsageError(
            f"{host}: other machines can reach this address: set THUMBSMITH_TOKEN to a secret that they must send"
        )
    own = f"[{host}]" if ":" in host else host
    try:
        return WebSettings(
            hosts=LOOPBACK_HOSTS | {name.lower() for name in (own, *names)},
            origins=frozenset(origin.rstrip("/").lower() for origin in origins),
            token=token,
            events_token=Setting.EVENTS_TOKEN.read(),
            signing_secret=Setting.SIGNING_SECRET.read(),
            root_path=root_path.rstrip("/"),
            trusts_proxy=trusts_proxy,
        )
    except ValueError as error:
        subject, _, expected = str(error).partition(": ")
        raise UsageError(f"{_OPTIONS.get(subject, subject)}: {expected}") from None


def _recipe_file(option: str | None) -> Path | None:
    """Return the file that the next start reads its recipe from; None if the environment contains the recipe."""
    setting = Setting.RECIPE.read()
    if option is None and setting and not Path(setting).is_file():
        return None
    return Path(option or setting or RECIPE_FILE).absolute()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _create_folders(root: Path) -> None:
    """Create the folders of a new root. The parent of the root must exist, since its path may have a typing error."""
    try:
        parent = root.absolute().parent
    except FileNotFoundError:
        raise UsageError(f"--root {root}: the working folder was deleted: give an absolute path") from None
    try:
        if not parent.is_dir():
            raise UsageError(f"--root {root}: expected a folder, found none: create {root.parent} first")
        is_new = not root.exists()
        (root / "sources").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{root}: expected a folder to write to, found: {error.strerror}") from error
    if is_new:
        Console().print(f"created {printable(str(root))}")
