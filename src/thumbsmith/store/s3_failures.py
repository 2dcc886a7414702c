"""What S3's refusals mean to a caller: one sentence, and whether trying again may help."""

from __future__ import annotations

from typing import Final

from thumbsmith.errors import StoreError

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


def refused(subject: str, operation: str, *, status: int, code: str, message: str) -> Refused:
    """Return what S3 answered to an operation of botocore's on `subject`, as an error with one sentence."""
    answer = str(status) if code == str(status) else f"{status} {code}"
    if code in _ADVICE:
        sentence = f"{_ADVICE[code]} ({answer})"
    elif status == 403:
        sentence = f"{_forbidden(operation)} ({answer})"
    else:
        sentence = f"{answer}: {' '.join(message.split())}" if message else answer
    return Refused(f"{subject}: {sentence}", status=status, code=code)


def _forbidden(operation: str) -> str:
    action = _ACTIONS[operation]
    if action != "s3:GetObject":
        return f"access denied: grant {action}"
    return (
        "access denied: grant s3:GetObject, and s3:ListBucket on the bucket, "
        "without which S3 answers so for an object that is not there too"
    )
