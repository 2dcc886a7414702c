"""Fixtures for the tests of the backfill."""

from tests.aws.conftest import scene, workers

__all__ = ["scene", "workers"]
