"""Images, their manifests and the list of them: the operations and their schemas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from thumbsmith.web.images import DEFAULT_LIMIT, MAX_LIMIT, SORTS, STATUSES
from thumbsmith.web.operations.operation import (
    BOOLEAN,
    COUNT,
    KEY,
    NOT_MODIFIED,
    REJECTION,
    RENDITION_FIELDS,
    SIZE,
    TEXT,
    WAIT,
    Operation,
    described,
    json_of,
    list_of,
    object_of,
    query_parameter,
    ref,
)

_STATUS: Final = {"enum": list(STATUSES)}

SCHEMAS: Final[Mapping[str, Any]] = {
    "Manifest": object_of(
        {
            "thumbsmith": {"const": 1},
            "status": {"const": "ok"},
            "recipe": TEXT,
            "source": object_of({"key": TEXT, "etag": TEXT, "bytes": COUNT}, open_ended=True),
            "placeholder": {"type": "object"},
            "renditions": list_of(
                object_of(
                    {**RENDITION_FIELDS, "key": TEXT, "format": TEXT, "sha256": TEXT, "etag": TEXT}, open_ended=True
                )
            ),
            "srcset": {"type": "object", "additionalProperties": TEXT},
        },
        open_ended=True,
    ),
    "Making": object_of(
        {"key": TEXT, "status": {"const": "making"}, "source": object_of({"bytes": COUNT})},
        {"detail": described(TEXT, "Why the last try failed. The server tries again.")},
    ),
    "Image": object_of(
        {"key": TEXT, "bytes": COUNT, "status": _STATUS},
        {
            "width": SIZE,
            "height": SIZE,
            "format": TEXT,
            "modified": described(COUNT, "When the file was written, in seconds since 1970."),
            "alpha": described(BOOLEAN, "Whether parts of the image can be transparent."),
            "color": described(TEXT, "The average color, for the time of loading. Not for transparent images."),
            "renditions": list_of(object_of({**RENDITION_FIELDS, "url": TEXT})),
            "rejection": REJECTION,
        },
    ),
    "Page": object_of(
        {"images": list_of(ref("Image"))},
        {"cursor": TEXT, "total": described(COUNT, "How many images the query selects, without `status`.")},
    ),
}

OPERATIONS: Final = (
    Operation(
        name="show_image",
        method="GET",
        path="/images/{key}",
        summary="Get the status of an image: its manifest when the thumbnails are made.",
        parameters=(
            KEY,
            WAIT,
        ),
        responses={
            200: ("The manifest.", json_of("Manifest")),
            202: ("The thumbnails are being made.", json_of("Making")),
            304: NOT_MODIFIED,
        },
        problems=(400, 404, 422, 503),
    ),
    Operation(
        name="remove_image",
        method="DELETE",
        path="/images/{key}",
        summary="Delete an image and its thumbnails.",
        parameters=(KEY,),
        responses={204: ("The image is deleted.", {})},
        problems=(400, 404, 503),
    ),
    Operation(
        name="list_images",
        method="GET",
        path="/images",
        summary="List images. A page with a `cursor` is not the last, even if it is empty.",
        parameters=(
            query_parameter("prefix", TEXT, "Only keys that begin with this text."),
            query_parameter("q", TEXT, "Only keys that contain this text, in any case."),
            query_parameter(
                "sort", {"enum": list(SORTS)}, "The order: by `name` (the default), the newest or the largest first."
            ),
            query_parameter("total", BOOLEAN, "Also count all images that the query selects. The default is false."),
            query_parameter("cursor", TEXT, "The `cursor` of the page before."),
            query_parameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
                f"The number of images on a page. The default is {DEFAULT_LIMIT}.",
            ),
            query_parameter("status", _STATUS, "Only images with this status."),
        ),
        responses={200: ("A page of the list.", json_of("Page"))},
        problems=(400, 503),
    ),
)
