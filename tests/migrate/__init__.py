"""Settings of other programs become recipes."""
