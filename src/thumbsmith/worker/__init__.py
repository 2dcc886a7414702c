"""Processes without power, in which pixels are handled.

A `Workers` keeps a few *templates*: interpreters with an empty environment that have imported all that decoding needs.
For every source a template forks a *child*, which gives up what it could still do (confine.py), asks for the source's
bytes over a socket, and says over it what it made. A picture that breaks its decoder breaks one child; and a child
that a picture has taken over can open no file and no connection, and never sees another source.
"""

from thumbsmith.worker.job import Work
from thumbsmith.worker.pool import Workers, shared, usable_cores

__all__ = ["Work", "Workers", "shared", "usable_cores"]
