"""Measurements behind the figures of README and docs; `make bench` runs them."""
