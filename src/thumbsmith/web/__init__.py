"""The API and the page: one ASGI application over any two stores, the same on a laptop and elsewhere.

Needs the extra `web`. It is thin: pictures are made by the same `converge` that every shell calls.
"""

from thumbsmith.web.application import application
from thumbsmith.web.settings import Settings

__all__ = ["Settings", "application"]
