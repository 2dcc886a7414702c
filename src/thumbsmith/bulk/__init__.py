"""Whole stores: list, compare, synchronize, watch, explain, estimate."""
