"""Derivatives inside of a loss that do not depend on any parameter.

A network of ReLUs is linear between its kinks: its first derivative by the input is a product
of weights, and its second is zero everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from unvanish.core.glossary import Quantity
from unvanish.core.records import Site
from unvanish.diagnose.neighbours import Neighbours

PIECEWISE_LINEAR: Final = {
    "threshold_backward": "relu",
    "leaky_relu_backward": "leaky_relu",
    "hardtanh_backward": "hardtanh",
    "prelu_kernel_backward": "prelu",
    "rrelu_with_noise_backward": "rrelu",
}
"""Backward steps of functions without curvature, by the function."""

_CALL: Final = "grad"
"""What `torch.autograd.grad` is seen as."""


def flat_derivatives(neighbours: Neighbours) -> Iterator[tuple[Site, str]]:
    """Yield what `torch.autograd.grad` returned to the loss and no parameter has a part in.

    Args:
        neighbours: The graph of a recording.

    Yields:
        The step that gives it to the loss, which gets a gradient and passes none on to any
        parameter, and the function without curvature that it is the derivative of.
    """
    recording = neighbours.recording
    arrived = recording[Quantity.LOG10_ACTIVATION_GRAD_RMS]
    learning = {
        use.site
        for parameter in recording.parameters
        for use in parameter.uses
        if use.log10_grad_rms > -math.inf
    }
    for site in recording.sites:
        is_given = site.function == _CALL and any(
            c.function != _CALL for c in neighbours.consumers(site)
        )
        if not is_given or not -math.inf < arrived.get(site) < math.inf:
            continue
        reached, kinks = {site.index}, set()
        waiting = [site]
        while waiting:
            step = waiting.pop()
            if step.op in PIECEWISE_LINEAR:
                kinks.add(PIECEWISE_LINEAR[step.op])
            for edge in neighbours.edges_into(step):
                if edge.log10_gain > -math.inf and edge.producer not in reached:
                    reached.add(edge.producer)
                    waiting.append(recording.sites[edge.producer])
        if kinks and reached.isdisjoint(learning):
            yield site, sorted(kinks)[0]
