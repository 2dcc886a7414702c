"""Where objects are: one small protocol, a file a store."""

from thumbsmith.store.opening import open_store
from thumbsmith.store.overlap import overlaps
from thumbsmith.store.types import Headers, ObjectInfo, OpenObject, Store

__all__ = ["Headers", "ObjectInfo", "OpenObject", "Store", "open_store", "overlaps"]
