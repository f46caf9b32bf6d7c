"""Which steps of a run are sampled: some of the first, where most happens, then every so many.

A sample is whole or light. Where samples follow each other closely, most are light: what changes
slowly, and what takes a pass of its own over a tensor, is then read every tenth step.
"""

from __future__ import annotations

from typing import Final

_FIRST: Final = frozenset({0, 1, 2, 4, 8, 16, 32})
_WHOLE: Final = 10
"""Least distance of whole samples, after the first few."""


def is_sampled(step: int, every: int) -> bool:
    """Tell whether a step is sampled.

    Args:
        step: Number of the step, from 0.
        every: Every how many steps a sample is taken, after the first few.
    """
    return step % every == 0 or step in _FIRST


def is_whole(step: int, every: int) -> bool:
    """Tell whether a sampled step brings all quantities.

    Args:
        step: Number of a sampled step.
        every: Every how many steps a sample is taken, after the first few.
    """
    return step in _FIRST or step % (every * -(-_WHOLE // every)) == 0
