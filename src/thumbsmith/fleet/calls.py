"""Calls to AWS's services other than S3, by botocore, which is loaded with the first of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from thumbsmith.environment import aws_region, aws_settings
from thumbsmith.errors import StoreError
from thumbsmith.store.s3_connections import BROKEN
from thumbsmith.store.s3_failures import broken_off, words

# How often a call is made in all before it has failed.
ATTEMPTS: Final = 8

# Connections kept open: as many calls as one process makes at once.
CONNECTIONS: Final = 32

# Codes of answers that pass, beside all with a status of 500 and above.
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
_PASSING: Final = frozenset({"ThrottlingException", "RequestThrottled", "TooManyRequestsException", "SlowDown"})


def client(service: str, attempts: int = ATTEMPTS) -> Any:
    """Return the client for the present environment: one for the process, and all of its threads.

    A call that fails for now is made `attempts` times in all, with pauses of up to 20 seconds in between. Each time it
    keeps to the limits of requests to S3, and to the lifetime that applies. Raises StoreError where its configuration
    cannot be used.
    """
    return _client(service, aws_region(), aws_settings(), attempts)


@cache
def _client(service: str, region: str | None, settings: frozenset[tuple[str, str]], attempts: int) -> Any:
    del settings  # botocore reads the environment itself
    from botocore.config import Config  # noqa: PLC0415 - it takes 0.2 s to load
    from botocore.session import get_session  # noqa: PLC0415 - likewise

    from thumbsmith.store.s3_sending import send_by_ours  # noqa: PLC0415 - it loads botocore

    with answering(service):
        config = Config(
            max_pool_connections=CONNECTIONS,
            retries={"mode": "standard", "total_max_attempts": attempts},
            parameter_validation=False,  # a tenth of the time that a batch of messages takes
        )
        session = get_session()
        made = session.create_client(service, region_name=region, config=config)
        send_by_ours(made, session)
        return made


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
        sentence = f"{subject}: {words(str(said.get('Code', status)))}: {words(str(said.get('Message', '')))}"
        raise StoreError(sentence, transient=passing) from error
    except BROKEN as error:
        raise broken_off(subject, error) from error
    except (problems.BotoCoreError, ValueError) as error:
        raise StoreError(f"{subject}: {words(str(error))}", transient=isinstance(error, unreached)) from error


def outputs(stack: str) -> dict[str, str]:
    """Return a stack's outputs by name. Raises StoreError, not transient, for one that is not there."""
    try:
        with answering(f"stack {stack}"):
            (found,) = client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except StoreError as error:
        raise StoreError(str(error), transient=False) from error
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())}
