"""`make cloud`: the application on an emulator of AWS on this machine, until Ctrl-C.

Arguments are settings of the ready app: NAME=VALUE, such as catalogue=true.
"""

import signal
import sys
import tempfile
import threading
import time
from dataclasses import fields
from pathlib import Path
from urllib.parse import urlsplit

from tests.cloud.emulator import REGION, Cloud, cloud
from tests.servers.processes import KEYS
from thumbsmith.cdk.app import Settings

SAMPLE = Path(__file__).parents[2] / "src" / "thumbsmith" / "samples" / "coffee.webp"


def main(*arguments: str) -> None:
    """Deploy, print the addresses, and wait for a signal. Then everything is removed."""
    settings = dict(each.partition("=")[::2] for each in arguments)
    if mistake := refusal(settings):
        print(f"make cloud: {mistake}", file=sys.stderr)
        raise SystemExit(2)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="thumbsmith-cloud-") as folder, cloud(Path(folder)) as where:
            print(f"emulator of AWS at {where.address}; deploying takes a minute ...", flush=True)
            where.bootstrap()
            outputs = where.deploy(**settings)
            print(f"deployed in {time.monotonic() - started:.0f} s", flush=True)
            print(guide(where, outputs), flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        print("stopped; nothing is left", flush=True)


def refusal(settings: dict[str, str]) -> str | None:
    """Return why the emulator cannot deploy these settings, or None."""
    for name in settings:
        if name not in {each.name for each in fields(Settings)}:
            return f"there is no setting {name!r}: write NAME=VALUE, with a name from docs/aws.md"
    return None


def guide(where: Cloud, outputs: dict[str, str]) -> str:
    """Return a text with the stack's outputs and commands to try."""
    parts = urlsplit(where.address)
    variables = {"AWS_ENDPOINT_URL": where.address, "AWS_REGION": REGION, **KEYS}
    exports = " ".join(f"{name}={value.replace(' ', chr(92) + ' ')}" for name, value in variables.items())
    key = "hello/coffee.webp"
    return "\n".join(
        [
            "",
            *(f"  {name:<18} {value}" for name, value in outputs.items()),
            "",
            "Try, in another terminal:",
            "",
            f"  export {exports}",
            "  .venv/bin/thumbsmith aws check Thumbsmith",
            f"  curl -sT {SAMPLE} {parts.geturl()}/{outputs['SourceBucket']}/{key}  # put a picture,",
            f"  curl -s {parts.geturl()}/{outputs['DestinationBucket']}/{key}/manifest.json  # look at what was made",
            f"  .venv/bin/thumbsmith plan s3://{outputs['SourceBucket']} s3://{outputs['DestinationBucket']}",
            "",
            "Ctrl-C stops it.",
        ]
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
