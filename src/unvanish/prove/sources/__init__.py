"""Samples from files, and in the shape that a network takes."""
