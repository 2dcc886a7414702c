"""Thumbnails of an existing bucket in a new bucket: `cdk deploy --app "python examples/app.py"`."""

from aws_cdk import App, Stack
from aws_cdk import aws_s3 as s3

from thumbsmith.cdk import ThumbnailGenerator

app = App()
stack = Stack(app, "MyThumbnails")
photos = s3.Bucket.from_bucket_name(stack, "Photos", "my-photos")
ThumbnailGenerator(stack, "Thumbnails", source=photos, destination=s3.Bucket(stack, "Thumbs"))
app.synth()
