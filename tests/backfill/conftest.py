"""What the tests of the fleet have."""

from tests.aws.conftest import scene, workers

__all__ = ["scene", "workers"]
