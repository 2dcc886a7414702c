"""Servers that tests run against: started on loopback by fixtures, and ended by them."""
