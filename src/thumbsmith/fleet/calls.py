"""Calls to AWS's services other than S3, by botocore, which is loaded with the first of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from thumbsmith.environment import aws_region, aws_settings
from thumbsmith.errors import StoreError

# Connections kept open: as many calls as one process makes at once.
CONNECTIONS: Final = 32

# Codes of answers that pass, beside all with a status of 500 and above.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
_PASSING: Final = frozenset({"ThrottlingException", "RequestThrottled", "TooManyRequestsException", "SlowDown"})


def client(service: str) -> Any:
    """Return the client for the present environment: one for the process, and all of its threads.

    Raises StoreError where its configuration cannot be used.
    """
    return _client(service, aws_region(), aws_settings())


@cache
def _client(service: str, region: str | None, settings: frozenset[tuple[str, str]]) -> Any:
    del settings  # botocore reads the environment itself
    from botocore.config import Config  # noqa: PLC0415 - it takes 0.2 s to load
    from botocore.session import get_session  # noqa: PLC0415 - likewise

    with answering(service):
        config = Config(
            max_pool_connections=CONNECTIONS,
            retries={"mode": "standard", "total_max_attempts": 8},
            parameter_validation=False,  # a tenth of the time that a batch of messages takes
        )
        return get_session().create_client(service, region_name=region, config=config)


@contextmanager
def answering(subject: str) -> Iterator[None]:
    """Raise StoreError for what botocore raises in the block: transient where the answer, or none, says so."""
    from botocore import exceptions as problems  # noqa: PLC0415 - as above

    unreached = (problems.ConnectionError, problems.HTTPClientError)

    try:
        yield
    except problems.ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        said = error.response.get("Error", {})
        passing = status >= 500 or status == 429 or said.get("Code") in _PASSING
        sentence = f"{subject}: {said.get('Code', status)}: {' '.join(str(said.get('Message', '')).split())}"
        raise StoreError(sentence, transient=passing) from error
    except (problems.BotoCoreError, ValueError) as error:
        raise StoreError(f"{subject}: {error}", transient=isinstance(error, unreached)) from error


def outputs(stack: str) -> dict[str, str]:
    """Return a stack's outputs by name. Raises StoreError, not transient, for one that is not there."""
    try:
        with answering(f"stack {stack}"):
            (found,) = client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except StoreError as error:
        raise StoreError(str(error), transient=False) from error
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())}
