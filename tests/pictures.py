"""Pictures that tests make for themselves."""

import io

from PIL import Image


def picture(color: str = "#c04020", size: tuple[int, int] = (60, 40), kind: str = "jpeg", **options: object) -> bytes:
    """Return a picture of one color, encoded."""
    stream = io.BytesIO()
    mode = "RGBA" if len(color) == 9 else "RGB"
    Image.new(mode, size, color).save(stream, kind, **options)
    return stream.getvalue()


def opened(data: bytes) -> Image.Image:
    """Return the decoded picture."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image
