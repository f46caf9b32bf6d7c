"""Whether the gradients of the weights hide what happens to the gradient that arrives.

|dW| = |delta| |h| coherence. Where weights are too small by one factor in every layer, the
signal h shrinks on its way up by what the gradient delta shrinks on its way down, and the
product is the same at every layer: whoever plots the gradients of the weights sees a flat line.

Source: the derivation of Xavier's initialisation by Glorot and Bengio (2010), equations 6 and 7,
of which this is the product.
"""

from __future__ import annotations

import math
from typing import Final

from unvanish.core.explanations import Explanation, ParameterTerms
from unvanish.core.records import Recording
from unvanish.explain.parameters import parameter_terms

_FAR: Final = 2.0
"""Decades that the arriving gradient must differ by between the two layers."""

_FLAT: Final = 0.25
"""Share of these by which the gradients of the weights may differ and be called flat."""


def flat_weights(
    explanation: Explanation, recording: Recording
) -> tuple[ParameterTerms, ParameterTerms] | None:
    """Return the first and last hidden weight where their gradients hide a loss or growth.

    Args:
        explanation: The ledger of the first one's layer.
        recording: What it was made from.

    Returns:
        Their terms; None where the gradients of the weights tell of it, or were not measured.
    """
    shapes = {p.name: p.shape for p in recording.parameters if len(p.shape) > 1}
    first = next((terms for terms in explanation.parameters if terms.name in shapes), None)
    if first is None:
        return None
    for site in reversed(list(recording.signal_sites())):
        last = next(
            (
                parameter_terms(recording, p.name)
                for p in recording.parameters
                if p.name in site.weights and p.shape == shapes[first.name] and p.name != first.name
            ),
            None,
        )
        if last is None or site.is_output:
            continue
        arriving = first.log10_backward - last.log10_backward
        own = first.log10_grad_norm - last.log10_grad_norm
        entering = first.log10_forward - last.log10_forward
        if not math.isfinite(arriving + own + entering) or abs(arriving) < _FAR:
            return None
        is_flat = abs(own) <= _FLAT * abs(arriving) and arriving * entering < 0.0
        return (first, last) if is_flat else None
    return None
