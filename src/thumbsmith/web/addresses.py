"""Keys in paths: percent-encoded as one segment or with "/" kept, and read from the path as it was sent."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request

from thumbsmith.web.problems import Problem


class AnyText(Convertor[str]):
    """The rest of a path, of whatever characters: a key may hold line ends as well."""

    regex = r"(?s:.*)"

    def convert(self, value: str) -> str:
        """Return it as it is."""
        return value

    def to_string(self, value: str) -> str:
        """Return it as it is."""
        return value


register_url_convertor("key", AnyText())

_NOT_UTF8: Final = Problem(400, "The path is not UTF-8.", code="bad_path")


def rest(request: Request) -> str:
    """Return what follows the first segment of the path, still percent-encoded."""
    sent: bytes = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    mounted = quote(request.scope.get("root_path", "")).encode()
    return sent.removeprefix(mounted).lstrip(b"/").partition(b"/")[2].decode("ascii", "replace")


def decoded(encoded: str) -> str:
    """Return the text that was percent-encoded. Raises Problem (400) where it is not UTF-8."""
    try:
        return unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise _NOT_UTF8 from None


def key_of(request: Request) -> str:
    """Return the key that follows the first segment of the path. Raises Problem: 400, or 404 where there is none."""
    key = decoded(rest(request))
    if not key:
        raise Problem(404, "There is no key in the path.", code="not_found")
    return key


def encoded(key: str) -> str:
    """Return the key for use in a path, with "/" kept where no client takes it for something else.

    Clients resolve segments that are dots, and some merge slashes: then the key is one segment.
    https://url.spec.whatwg.org/#path-state
    """
    plain = all(part not in {"", ".", ".."} for part in key.split("/"))
    return quote(key, safe="/" if plain else "")
