"""What S3's refusals mean to a caller: one sentence, and whether trying again may help."""

from __future__ import annotations

from typing import Final

from thumbsmith.errors import StoreError
from thumbsmith.store.failures import shown

# Codes that S3 sends with a status of the 400s although the request was in order.
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_PASSING: Final = frozenset({"BadDigest", "IncompleteBody", "RequestTimeout", "Throttling", "ThrottlingException"})

# What an IAM policy has to allow for an operation.
_ACTIONS: Final = {
    "head_object": "s3:GetObject",
    "get_object": "s3:GetObject",
    "get_object_tagging": "s3:GetObjectTagging",
    "put_object": "s3:PutObject",
    "delete_object": "s3:DeleteObject",
    "list_objects_v2": "s3:ListBucket",
}

# Text of a server is cut off after this number of characters.
_MAX_WORDS: Final = 300

_ADVICE: Final = {
    "NoSuchBucket": "there is no such bucket",
    "PermanentRedirect": "the bucket is in another region: set AWS_REGION to it",
    "AuthorizationHeaderMalformed": "the bucket is in another region: set AWS_REGION to it",
    "InvalidAccessKeyId": "the access key is not known: check AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the signature does not match: check AWS_SECRET_ACCESS_KEY",
    "InvalidToken": "the session token is not valid: check AWS_SESSION_TOKEN",
    "ExpiredToken": "the credentials have expired: get new ones",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
}


class Refused(StoreError):
    """S3 answered a request with an error: its HTTP status, and S3's code, which is the status where none came."""

    def __init__(self, message: str, *, status: int, code: str) -> None:
        super().__init__(message, transient=status in {408, 409, 429} or status >= 500 or code in _PASSING)
        self.status = status
        self.code = code

    @property
    def no_such_object(self) -> bool:
        """Return whether there is no such object, as far as can be told: the answer to a HEAD does not say what."""
        return self.status == 404 and self.code != "NoSuchBucket"

    @property
    def changed(self) -> bool:
        """Return whether the object that was asked for by its etag is another one by now, or gone."""
        return self.status in {412, 416} or self.no_such_object

    @property
    def archived(self) -> bool:
        """Return whether the object is in an archive, from which it has to be restored before it can be read.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, "InvalidObjectState"
        """
        return self.code == "InvalidObjectState"


def refused(subject: str, operation: str, *, status: int, code: str, message: str, owner: str | None = None) -> Refused:
    """Return what S3 answered to an operation of botocore's on `subject`, as an error with one sentence.

    `owner` is the account that the bucket had to belong to, where the request said so.
    """
    code, message = words(code), words(message)
    answer = str(status) if code == str(status) else f"{status} {code}"
    told = f"{answer}: {message}" if message else answer
    if code in _ADVICE:
        sentence = f"{_ADVICE[code]} ({answer})"
    elif status == 403:
        whose = f"; the bucket has to belong to account {owner} (?owner=)" if owner else ""
        sentence = f"{_forbidden(operation)}{whose} ({told})"
    elif (status, operation) == (
        400,
        "head_object",
    ):  # an answer to HEAD has no words; S3 gives this one for nothing else
        sentence = f"it is encrypted with a customer's key (SSE-C), and S3 serves it only with that key ({answer})"
    else:
        sentence = told
    return Refused(f"{subject}: {sentence}", status=status, code=code)


def broken_off(subject: str, problem: Exception) -> StoreError:
    """Return what it means that a connection breaks off, or that what comes over it is too slow or too long."""
    how = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
    return StoreError(f"{subject}: the connection broke off: {words(how) or type(problem).__name__}", transient=True)


def unreachable(subject: str, endpoint: str, problem: Exception) -> StoreError:
    """Return what it means that no connection can be made."""
    return StoreError(f"{subject}: Could not connect to {endpoint}: {words(str(problem))}", transient=True)


def words(text: str) -> str:
    """Return what a server said, in one line that a terminal shows and does not act on, of a bounded length."""
    line = " ".join(text.split())
    return shown(line if len(line) <= _MAX_WORDS else f"{line[:_MAX_WORDS]}...")


def _forbidden(operation: str) -> str:
    action = _ACTIONS[operation]
    if action != "s3:GetObject":
        return f"access denied: grant {action}"
    return (
        "access denied: grant s3:GetObject, and s3:ListBucket on the bucket, "
        "without which S3 answers so for an object that is not there too"
    )
