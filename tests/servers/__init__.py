"""Servers for tests: fixtures start them on loopback and end them."""
