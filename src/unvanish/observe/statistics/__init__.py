"""Numbers taken from single tensors, one kind a file."""
