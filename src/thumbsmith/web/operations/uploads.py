"""Uploads: the operations and their schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from thumbsmith.web.operations.operation import (
    BINARY,
    BOOLEAN,
    COUNT,
    KEY,
    SIZE,
    TEXT,
    WAIT,
    Operation,
    described,
    json_of,
    list_of,
    object_of,
    path_parameter,
    query_parameter,
    ref,
)

_REPLACE: Final = query_parameter("replace", BOOLEAN, "Replace the image that has this name. The default is false.")
_FORM: Final = object_of(
    {"file": described(list_of(BINARY["schema"]), "The files. Any name of the field is accepted.")}, open_ended=True
)
_STORED: Final = {
    201: ("The manifest: the thumbnails were made within the time of `wait`.", json_of("Manifest")),
    202: ("The image is stored. Its thumbnails are being made.", json_of("Making")),
}


def _one_or_several(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content for one file, or the list for several ones."""
    return {"application/json": {"schema": {"anyOf": [content["application/json"]["schema"], ref("Uploads")]}}}


SCHEMAS: Final[Mapping[str, Any]] = {
    "UploadRequest": object_of(
        {
            "name": {"type": "string", "minLength": 1, "maxLength": 1024, "description": "The key to use."},
            "type": described(TEXT, "The media type, for example image/jpeg."),
            "bytes": described(SIZE, "The size of the file in bytes."),
        },
        {"replace": {**BOOLEAN, "default": False, "description": "Replace the image that has this name."}},
    ),
    "Upload": object_of(
        {
            "key": TEXT,
            "upload": object_of(
                {"method": {"enum": ["PUT", "POST"]}, "url": TEXT},
                {"headers": {"type": "object"}, "fields": {"type": "object"}},
            ),
            "expires": described(COUNT, "When the URL expires, in seconds since 1970."),
        }
    ),
    "Uploaded": object_of({"key": TEXT}),
    "Uploads": object_of(
        {
            "images": list_of(
                object_of(
                    {"key": TEXT, "status": {"type": "integer"}},
                    {"manifest": ref("Manifest"), "making": ref("Making"), "problem": ref("Problem")},
                )
            )
        }
    ),
}

OPERATIONS: Final = (
    Operation(
        name="create_upload",
        method="POST",
        path="/uploads",
        summary="Ask for permission to upload one image. Its key is the name; a number is added if the name is taken.",
        body=json_of("UploadRequest"),
        responses={201: ("The request that uploads the image.", json_of("Upload"))},
        problems=(400, 413, 415, 422, 503),
    ),
    Operation(
        name="receive_upload",
        method="PUT",
        path="/uploads/{ticket}",
        summary="Upload the image, if the answer to `POST /uploads` names this URL. It works once.",
        parameters=(path_parameter("ticket", "The secret in the URL of the upload."),),
        body=dict.fromkeys(("image/jpeg", "image/*"), BINARY),
        responses={201: ("The image is stored. Its thumbnails are being made.", json_of("Uploaded"))},
        problems=(400, 404, 408, 409, 413, 415, 503),
    ),
    Operation(
        name="put_image",
        method="PUT",
        path="/images/{key}",
        summary="Upload an image: the body is the file. Repeat the request if it was interrupted.",
        parameters=(KEY, WAIT, _REPLACE),
        body=dict.fromkeys(("application/octet-stream", "image/*"), BINARY),
        responses=_STORED,
        problems=(400, 404, 408, 409, 413, 415, 422, 503),
    ),
    Operation(
        name="post_images",
        method="POST",
        path="/images",
        summary="Upload the files of a form. The answer for one file is that of `PUT /images/{key}`.",
        parameters=(
            query_parameter("prefix", TEXT, "Text to put before each file name: `holiday/`."),
            WAIT,
            _REPLACE,
        ),
        body={"multipart/form-data": {"schema": _FORM}},
        responses={
            **{status: (text, _one_or_several(content)) for status, (text, content) in _STORED.items()},
            207: ("Several files with different results: `status` of each.", json_of("Uploads")),
        },
        problems=(400, 408, 409, 413, 415, 422, 503),
    ),
)
