"""How requests to S3 are made, whichever way they are sent."""

from __future__ import annotations

from typing import Final

# How often a request is made in all before it has failed; each pause in between is a random share of a longer time.
ATTEMPTS: Final = 5
FIRST_PAUSE: Final = 0.1

# Seconds in which a connection has to be made, and in which every piece of an answer has to come.
CONNECT_TIMEOUT: Final = 5
READ_TIMEOUT: Final = 30

# Connections kept open for the threads: as many requests at once as a process makes.
CONNECTIONS: Final = 64
