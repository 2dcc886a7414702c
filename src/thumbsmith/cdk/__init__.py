"""Thumbsmith on AWS: constructs for your CDK app, and a ready app (`thumbsmith.cdk.app`)."""

try:
    import aws_cdk as _aws_cdk  # noqa: F401 - only to check that it is installed
except ModuleNotFoundError as _missing:
    if _missing.name != "aws_cdk":
        raise
    from thumbsmith.installation import missing_extra as _missing_extra

    raise ModuleNotFoundError(_missing_extra("thumbsmith.cdk", "cdk"), name="aws_cdk") from None

from thumbsmith.cdk.api import ThumbnailApi
from thumbsmith.cdk.audit import ThumbnailAudit
from thumbsmith.cdk.delivery import ThumbnailDelivery
from thumbsmith.cdk.generator import ThumbnailGenerator
from thumbsmith.cdk.network import IsolatedNetwork
from thumbsmith.cdk.notifications import Trigger
from thumbsmith.cdk.task import ThumbnailTask

__all__ = [
    "IsolatedNetwork",
    "ThumbnailApi",
    "ThumbnailAudit",
    "ThumbnailDelivery",
    "ThumbnailGenerator",
    "ThumbnailTask",
    "Trigger",
]
