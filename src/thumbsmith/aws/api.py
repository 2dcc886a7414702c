"""The API's Lambda function: thumbsmith.aws.api.handler. It takes uploads, reads and deletes; it makes no picture.

What is done when this is loaded is done once for a sandbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from thumbsmith.aws.gateway import Gateway
from thumbsmith.aws.settings import from_environment
from thumbsmith.aws.telemetry import tell_problem
from thumbsmith.environment import origins_setting
from thumbsmith.errors import ThumbsmithError
from thumbsmith.web.hosted import hosted
from thumbsmith.web.settings import Settings

# Seconds that are waited for thumbnails in the making: an HTTP API gives up on its function after 30.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
MAX_WAIT: Final = 25.0

# Bytes of the largest picture that is sent from here: an answer has at most 6 MB, base64 and headers included.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LARGEST: Final = 4 << 20


def _gateway() -> Gateway | ThumbsmithError:
    """Return what answers by the environment's settings, or why there is none: also told, once."""
    try:
        found = from_environment()
    except ThumbsmithError as problem:
        tell_problem(problem)
        return problem
    settings = Settings(hosts=None, origins=origins_setting(), max_wait=MAX_WAIT)
    return Gateway(hosted(found.source, found.destination, found.recipe, settings, largest=LARGEST))


_GATEWAY: Final = _gateway()


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda passes it
    """Return the answer to one request. Raises what is wrong with the settings."""
    if isinstance(_GATEWAY, ThumbsmithError):
        raise _GATEWAY.with_traceback(None)
    return _GATEWAY.answer(event)
