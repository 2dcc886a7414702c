"""Pictures: from the bytes of a source to renditions. This package does not use stores."""
