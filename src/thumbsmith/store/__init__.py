"""Where objects are: one small protocol, a file a store."""

from thumbsmith.store.base import Headers, ObjectInfo, OpenObject, Store
from thumbsmith.store.open import open_store, overlaps

__all__ = ["Headers", "ObjectInfo", "OpenObject", "Store", "open_store", "overlaps"]
