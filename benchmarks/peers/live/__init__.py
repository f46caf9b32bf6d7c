"""Tools that run on PyTorch today, run as they are; one tool a file."""
