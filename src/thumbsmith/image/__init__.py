"""Pictures: from the bytes of a source to renditions. This package knows no store."""
