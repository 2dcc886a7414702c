"""From an event or a queue message to converged keys: shared by the functions on AWS, the worker and the server."""
