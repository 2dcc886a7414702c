"""Thumbsmith on AWS, as a construct to import into one's own CDK app, and as a ready app (`thumbsmith.cdk.app`)."""

try:
    import aws_cdk as _aws_cdk  # noqa: F401 - whether it is there decides which sentence is said
except ModuleNotFoundError as _missing:
    if _missing.name != "aws_cdk":
        raise
    raise ModuleNotFoundError(
        "thumbsmith.cdk needs what the extra cdk brings: pip install 'thumbsmith[cdk]'", name="aws_cdk"
    ) from None

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
