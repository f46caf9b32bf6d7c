"""Closed forms and quadrature: what a healthy network should look like, without torch."""
