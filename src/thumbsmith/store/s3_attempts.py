"""How requests to S3, and to AWS's other services, are made, whichever way: how often, how long, and how much."""

from __future__ import annotations

from typing import Final

# How often a request is made in all before it has failed; each pause in between is a random share of a longer time.
# No further attempt is begun once WINDOW seconds have passed since the first.
ATTEMPTS: Final = 5
FIRST_PAUSE: Final = 0.1
WINDOW: Final = 30.0

# Seconds in which a connection has to be made, and for which nothing may come or go.
CONNECT_TIMEOUT: Final = 5.0
READ_TIMEOUT: Final = 30.0

# The seconds of one request, from looking up the host's name to the last byte of the answer: so many, and one more for
# every SLOWEST bytes that came or went. 16 KiB a second is a mobile connection of the slowest kind.
REQUEST_TIMEOUT: Final = 30.0
SLOWEST: Final = 16 << 10

# Connections kept open for the threads: as many requests at once as a process makes.
CONNECTIONS: Final = 64

# Bytes of a body that are read at most: of an answer to a request without a range, and of a refusal. A page of 1,000
# keys of 1,024 bytes, each of them percent-encoded, is about 4 MB.
LARGEST_BODY: Final = 8 << 20
LARGEST_ERROR: Final = 64 << 10

# Bytes of an answer besides its body: http.client takes 100 headers of 64 KiB each, S3 sends 8 KiB at most.
LARGEST_HEAD: Final = 256 << 10
