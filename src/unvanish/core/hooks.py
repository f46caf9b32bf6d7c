"""Where hooks of the user's change the gradient, and by how much."""

from __future__ import annotations

from unvanish.core.glossary import Quantity
from unvanish.core.operations import HOOK_STEP
from unvanish.core.records import Recording

_NOTHING = 1e-6
"""Decades; a module's hook that changes less reads the gradient and leaves it as it is."""


def hook_gains(recording: Recording) -> dict[int, float]:
    """Return the decades by which hooks change what arrives, by site.

    Args:
        recording: What was observed.
    """
    gains = dict(recording[Quantity.LOG10_HOOK_GAIN].values)
    for edge in recording.edges:
        if recording.sites[edge.consumer].op == HOOK_STEP and abs(edge.log10_gain) > _NOTHING:
            gains[edge.consumer] = edge.log10_gain
    return gains
