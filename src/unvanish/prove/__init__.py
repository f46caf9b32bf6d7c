"""Paired trials: the network retrained as it is beside what was done to it."""
