"""Every operation of the API, once: the routes and the OpenAPI document are made from this list."""

from collections.abc import Mapping
from typing import Any, Final

from thumbsmith.web.operations import images, recipes, renditions, server, uploads
from thumbsmith.web.operations.operation import Operation

_SUBJECTS: Final = (uploads, images, renditions, recipes, server)

OPERATIONS: Final[tuple[Operation, ...]] = tuple(each for subject in _SUBJECTS for each in subject.OPERATIONS)

# JSON Schema, draft 2020-12, by name.
SCHEMAS: Final[Mapping[str, Any]] = {name: each for subject in _SUBJECTS for name, each in subject.SCHEMAS.items()}
