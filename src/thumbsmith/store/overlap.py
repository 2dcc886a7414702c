"""Whether two stores share objects: a destination may not be where the sources are, or the other way round."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from thumbsmith.store.types import Store


def overlaps(one: Store, other: Store) -> bool:
    """Return whether one store is the other, or is a folder or a prefix in it or around it.

    Folders are compared by their paths, in which links are resolved, and by what the paths lead to: a folder that is
    mounted a second time, or is spelled in another case on a file system that ignores case, is the same one. Buckets
    are compared by their names and where requests go: an access point's alias is not seen through.
    """
    from thumbsmith.store.s3 import S3Store  # noqa: PLC0415 - no client comes with it

    if isinstance(one, S3Store) and isinstance(other, S3Store):
        same = (one.bucket, one.client.endpoint) == (other.bucket, other.client.endpoint)
        return same and (one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix))
    from thumbsmith.store.folder import FolderStore  # noqa: PLC0415 - whoever has buckets alone needs none of it

    if isinstance(one, FolderStore) and isinstance(other, FolderStore):
        first, second = Path(os.path.realpath(one.root)), Path(os.path.realpath(other.root))
        return _contains(first, second) or _contains(second, first)
    return one is other


def _contains(outer: Path, inner: Path) -> bool:
    return any(folder == outer or _is_same(folder, outer) for folder in (inner, *inner.parents))


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
