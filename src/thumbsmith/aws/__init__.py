"""On AWS."""
