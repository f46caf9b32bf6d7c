r"""Why the gradient of a parameter has the size it has: an exact product of three or four.

A step that multiplies its input with a matrix has dW = G^T H, with G the gradient at its output
and H what enters, one row an entry of the batch, a position, or a use. So

    log |dW| = log |G| + log |H| + log |G^T H| / (|G| |H|),
             (backward) (forward)      (coherence, at most 0)

by Cauchy and Schwarz. For a kernel, H holds the patch under every output. A bias is the matrix of
an input that is always 1, an embedding that of one 1 in every row, and the weight of a
normalisation meets an input of size 1 by construction. Where the matrix is itself computed from
the parameter, what that adds is a fourth term; what hooks on the gradient make of it, a fifth.

Source: the chain rule; the ratio of |dW| of two layers is why gradients of weights may be flat
where both factors vanish, Glorot and Bengio (2010).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from unvanish.core.explanations import ParameterTerms
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording, Role, Site
from unvanish.explain.factors.pooling import LAYOUT


def parameter_terms(recording: Recording, name: str) -> ParameterTerms:
    """Return the factors of one parameter's gradient.

    Args:
        recording: What was observed.
        name: Name of the parameter.

    Raises:
        KeyError: If there is no such parameter.
    """
    parameter = next((p for p in recording.parameters if p.name == name), None)
    if parameter is None:
        raise KeyError(name)
    norms = recording[Quantity.LOG10_LEDGER_GRAD_NORM]
    whole = parameter.log10_grad_rms + 0.5 * math.log10(max(1, parameter.size))
    users = [s for s in recording.signal_sites() if name in s.weights and s in norms]
    backward = _joint(norms[s] for s in users)
    forward = _joint(_log10_input_norm(recording, s, parameter) for s in users)
    made = _computed(recording, users, parameter)
    hook = parameter.log10_hook_gain
    before = _rest(whole, hook) if hook else whole
    at_matrix = before if math.isnan(made) else made
    return ParameterTerms(
        name=name,
        log10_grad_norm=whole,
        log10_backward=backward,
        log10_forward=forward,
        log10_coherence=_rest(at_matrix, backward, forward),
        log10_parametrisation=0.0 if at_matrix == before else _rest(before, at_matrix),
        log10_hook=hook,
    )


def _rest(whole: float, *parts: float) -> float:
    """Return what is left of a sum; nothing is, where a part of it is all of minus infinity."""
    if whole == -math.inf:
        return 0.0 if -math.inf in parts else -math.inf
    rest = whole - math.fsum(parts) if all(map(math.isfinite, parts)) else math.nan
    return rest if math.isfinite(rest) else math.nan


def _joint(log10_norms: Iterable[float]) -> float:
    """Return log10 of the norm of several tensors as one; nan where one is not known."""
    norms = list(log10_norms)
    if not norms or any(math.isnan(norm) for norm in norms):
        return math.nan
    largest = max(norms)
    if not math.isfinite(largest):
        return largest
    return largest + 0.5 * math.log10(math.fsum(10 ** (2 * (norm - largest)) for norm in norms))


def _log10_input_norm(recording: Recording, site: Site, parameter: Parameter) -> float:
    """Return log10 |H| for one use of a parameter."""
    measured = recording[Quantity.LOG10_WEIGHT_SIGNAL_NORM].get(site)
    rows = math.log10(max(1, site.size) / max(1, parameter.size))
    if site.op.startswith("embedding"):
        return 0.5 * math.log10(max(1, site.size) / max(1, parameter.shape[-1]))
    if "norm" in site.op or site.op == "add" or (len(parameter.shape) < 2 and site.op != "mul"):
        return 0.5 * rows  # an input of 1: a bias; of size 1: the weight of a normalisation
    if not math.isnan(measured):
        return measured
    return _from_neighbours(recording, site)


def _from_neighbours(recording: Recording, site: Site) -> float:
    """Return log10 of the norm of what enters a site, from what made it."""
    sizes = recording[Quantity.ACTIVATION_RMS]
    for edge in recording.edges:
        producer = recording.sites[edge.producer]
        if edge.consumer == site.index and producer.role is Role.SIGNAL:
            rms = sizes.get(producer)
            if rms > 0.0:
                return math.log10(rms) + 0.5 * math.log10(max(1, producer.size))
    data = next((d for d in recording.data if d.site == site.index and d.rms > 0.0), None)
    if data is not None:
        return math.log10(data.rms) + 0.5 * math.log10(max(1, math.prod(data.shape)))
    return math.nan


def _computed(recording: Recording, users: Iterable[Site], parameter: Parameter) -> float:
    """Return log10 of the gradient at the matrix that a parameter is made into; nan if it is it.

    A matrix that is only moved, as by a transpose, has the parameter's own gradient.
    """
    norms = recording[Quantity.LOG10_LEDGER_GRAD_NORM]
    own = {site.index for site in users}
    made = {
        edge.producer: _is_moved(recording, edge.producer)
        for edge in recording.edges
        if edge.consumer in own
        and recording.sites[edge.producer].role is Role.WEIGHT
        and edge.producer in norms
        and (
            parameter.name in recording.sites[edge.producer].weights
            or _is_behind(recording, edge.producer, parameter)
        )
    }
    return math.nan if all(made.values()) else _joint(norms[i] for i in made)


def _is_moved(recording: Recording, site: int) -> bool:
    """Tell whether a step of the weights, and every one before it, only moves entries."""
    here = [site]
    while here:
        one = here.pop()
        if recording.sites[one].op.rstrip("_") not in LAYOUT:
            return False
        here += [e.producer for e in recording.edges if e.consumer == one]
    return True


def _is_behind(recording: Recording, site: int, parameter: Parameter) -> bool:
    """Tell whether a parameter is used by a step of the weights or by one before it."""
    uses = {use.site for use in parameter.uses}
    here, seen = [site], set[int]()
    while here:
        one = here.pop()
        if one in uses:
            return True
        seen.add(one)
        here += [
            e.producer for e in recording.edges if e.consumer == one and e.producer not in seen
        ]
    return False
