r"""What theory predicts for the measured network, layer by layer, with a finite-width band.

Two passes over the steps between a layer and the output. Forwards, the moments of the signal
are followed from the measured ones of that layer (`signal`). Backwards, a gradient of energy 1
at the last layer is multiplied, step by step, by what every step does on average:

    matrix, kernel             sigma_w^2, its own
    activation                 E phi'(z)^2 at the predicted moments of z
    LayerNorm, RMSNorm         gamma^2 / (q - m^2) or gamma^2 / q, times 1 - 2/n
    BatchNorm                  gamma^2 / (q - p), times 1 - 2/B, B values a channel
    sum                        1 to every branch; energies add up where branches meet again
    scale, dropout, average    the square of the scale, 1 / (1 - p), 1 / positions
    even attention over T      to the values what the tokens' gradients share, 1/T and up;
                               to the weights T (q_v - t_v), the softmax 1 / T^2, the scores
                               d (q_k - t_k), with d features a head; a mask is taken for
                               a causal one

A network of width n scatters about it. Given the layer above, the energy of one sample's gradient
has the relative variance 2/n behind a matrix and 3 (E phi'^4 / (E phi'^2)^2 - 1) / n behind an
activation; the length scatters, too, and moves the slopes behind it. A branch adds its scatter in
the square of its share. Variances add up in the logarithm, whose mean lies half of them below
the logarithm of the mean: a narrow and deep network loses more than a wide one of the same
weights. A batch averages away what its samples do not share; what they share is taken for the
square of their measured cosine. The band is two standard deviations of one sample, so that it is
wide rather than narrow.

Source: Poole et al. (2016) and Schoenholz et al. (2017) for the mean; Yang and Schoenholz (2017)
for sums, Yang et al. (2019) for BatchNorm, Noci et al. (2022) for tokens that become alike; Hanin
(2018) for the variance of a ReLU network, 5 / n a layer, of which this is the form for any
activation.
"""

from __future__ import annotations

import math
from typing import Final

from unvanish.core.explanations import PredictedLayer, Prediction
from unvanish.core.glossary import Quantity
from unvanish.core.hooks import hook_gains
from unvanish.core.records import Recording, Site
from unvanish.explain.dominators import dominators
from unvanish.explain.prediction.backward import backward
from unvanish.explain.prediction.forward import forward
from unvanish.explain.prediction.steps import Kind, Step, Steps, UnpredictableError
from unvanish.theory.depth_scales import trainable_depth
from unvanish.theory.quadrature import TooSteepError

__all__ = ["likeness", "predict"]

_TOO_FEW: Final = 3
_NARROWEST: Final = 4
"""Units of the narrowest layer; below, no entry is Gaussian."""
_VAGUE: Final = 6.0
"""Decades of the first layer's band from which on a prediction says nothing."""
_KEEPS: Final = 1e-6
"""Decades a layer below which a network keeps its gradient: it is trainable at any depth."""


def predict(recording: Recording, target: int) -> Prediction:
    """Return what theory predicts between one layer and the last.

    Args:
        recording: What was observed.
        target: Index of the site that is explained.
    """
    steps = Steps(recording)
    top = _last_layer(recording, steps, target)
    if top is None:
        return Prediction(reason="no layer lies behind it on every way to the output")
    between = _between(steps, target, top)
    layers = [i for i in between if steps.is_matrix(recording.sites[i])]
    if len(layers) < _TOO_FEW:
        return Prediction(reason="there are fewer than three layers")
    narrow = min(steps.step(recording.sites[i]).units for i in layers[:-1])
    if narrow < _NARROWEST:
        return Prediction(
            reason=f"a layer of {narrow} units is too narrow for a theory of wide ones"
        )
    if hooked := hook_gains(recording).keys() & set(between):
        where = recording.sites[min(hooked)].path or "the model"
        return Prediction(reason=f"a hook on the gradient changes what arrives in {where}")
    try:
        known = _known(steps, between, target)
        signals = forward(steps, known, target)
        gradients = backward(steps, known, signals, top)
    except UnpredictableError as unknown:
        return Prediction(reason=str(unknown))
    except TooSteepError:
        return Prediction(reason="an activation is so steep that it is nearly a step")
    grads = recording[Quantity.LOG10_PROBE_GRAD_RMS]
    if top not in grads or target not in grads:
        return Prediction(reason="no random-direction gradient was measured there")
    reference = _norm(recording, recording.sites[top])
    rows = []
    common = _common(recording, layers)
    for i in layers:
        if i not in grads or i not in gradients:
            continue
        found = gradients[i]
        spread = found.variance + found.pull**2 * signals[i].variance
        rows.append(
            PredictedLayer(
                site=i,
                measured=_norm(recording, recording.sites[i]) - reference,
                predicted=0.5 * (found.log_energy - 0.5 * common * spread) / math.log(10.0),
                band=(2.0 * math.sqrt(spread) + found.doubt) * 0.5 / math.log(10.0),
            )
        )
    if len(rows) < _TOO_FEW or rows[0].site != layers[0]:
        return Prediction(reason="no random-direction gradient was measured there")
    if rows[0].band > _VAGUE:
        return Prediction(reason="networks of this width scatter too far about what theory says")
    depth = recording.sites[top].depth - recording.sites[layers[0]].depth
    a_layer = 0.5 * gradients[layers[0]].log_energy / math.log(10.0) / max(1, depth)
    return Prediction(
        layers=tuple(rows),
        depth=depth,
        trainable_depth=math.inf if abs(a_layer) < _KEEPS else trainable_depth(a_layer),
    )


def likeness(recording: Recording, prediction: Prediction) -> tuple[float, ...]:
    """Return the cosine of two samples that theory predicts at each layer of a prediction.

    It follows what two samples have in common from the measured cosine of the first layer on, as
    in Poole et al. (2016).

    Args:
        recording: What was observed.
        prediction: What `predict` said of it.

    Returns:
        One cosine a layer; nothing where theory cannot follow the network.
    """
    if not prediction.layers:
        return ()
    steps = Steps(recording)
    target, top = prediction.layers[0].site, prediction.layers[-1].site
    try:
        known = _known(steps, _between(steps, target, top), target)
        signals = forward(steps, known, target, samples=True)
    except (UnpredictableError, TooSteepError):
        return ()
    found = [signals[layer.site] for layer in prediction.layers]
    return tuple(min(max(one.shared / one.q, -1.0), 1.0) for one in found)


def _known(steps: Steps, between: list[int], target: int) -> dict[int, Step]:
    """Return the steps behind a layer in forward order; of the layer itself only what it gives.

    Raises:
        UnpredictableError: If theory knows nothing of one of them.
    """
    sites = steps.recording.sites
    known = {i: steps.step(sites[i]) for i in between if i != target}
    return {target: Step(sites[target], Kind.SAME), **known}


def _last_layer(recording: Recording, steps: Steps, target: int) -> int | None:
    """Return the last matrix that every way from the target to the loss runs through."""
    consumers = {i: [e.consumer for e in edges] for i, edges in steps.above.items()}
    chain = dominators(target, consumers)
    return next(
        (i for i in chain if i != target and steps.is_matrix(recording.sites[i])),
        None,
    )


def _between(steps: Steps, target: int, top: int) -> list[int]:
    """Return the sites on ways from the target to the top, in forward order."""
    behind = {target}
    for i in range(target + 1, top + 1):
        if any(edge.producer in behind for edge in steps.below.get(i, ())):
            behind.add(i)
    before = {top}
    for i in range(top - 1, target - 1, -1):
        if any(edge.consumer in before for edge in steps.above.get(i, ())):
            before.add(i)
    return sorted(behind & before)


def _common(recording: Recording, layers: list[int]) -> float:
    """Return the share of the scatter that all samples of a batch have in common."""
    cosines = recording[Quantity.SAMPLE_COSINE]
    found = [max(cosines[i], 0.0) ** 2 for i in layers if not math.isnan(cosines.get(i))]
    return min(1.0, math.fsum(found) / len(found)) if found else 1.0


def _norm(recording: Recording, site: Site) -> float:
    grads = recording[Quantity.LOG10_PROBE_GRAD_RMS]
    return grads.get(site) + 0.5 * math.log10(max(1, site.size))
