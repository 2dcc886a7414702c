"""Where sources and thumbnails are: one contract, and one module for each kind of store."""

from thumbsmith.store.base import Headers, ObjectInfo, OpenObject, Store, refuse_overlap
from thumbsmith.store.open import open_store

__all__ = ["Headers", "ObjectInfo", "OpenObject", "Store", "open_store", "refuse_overlap"]
