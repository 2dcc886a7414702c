"""The routes of the API, made from the list of operations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thumbsmith.web.operations import OPERATIONS

Endpoint = Callable[[Request], Awaitable[Response]]


def routes(endpoints: Mapping[str, Endpoint]) -> list[Route]:
    """Return the routes of the operations that have an endpoint. `endpoints` are by the name of their operation.

    A path has one route for all its methods, so that the answer 405 names them all. HEAD operations need no endpoint:
    they are answered by the endpoint for GET.
    """
    by_path: dict[str, dict[str, Endpoint]] = {}
    for each in OPERATIONS:
        if each.name in endpoints:
            by_path.setdefault(each.path, {})[each.method] = endpoints[each.name]
    return [Route(_starlette_path(path), _by_method(given), methods=list(given)) for path, given in by_path.items()]


def _by_method(endpoints: Mapping[str, Endpoint]) -> Endpoint:
    async def answer(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    return answer


def _starlette_path(path: str) -> str:
    """Return the path for Starlette. The convertor `key` matches slashes, so it takes key and variant together."""
    return path.replace("{key}/{variant}", "{key:key}").replace("{key}", "{key:key}")
