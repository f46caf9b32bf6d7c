r"""What theory predicts for the measured network, layer by layer, with a finite-width band.

For plain layers of matrix and activation, mean-field theory follows the length of the signal
from the first layer's measured one, q_(l+1) = sigma_w^2 E phi(z)^2 + sigma_b^2, and predicts the
gradient's amplitude to change by sqrt(sigma_w^2 E phi'(z)^2) a layer, with each layer's own
weights and biases. A network of width n scatters about it: given the layer above, the energy of
one sample's gradient has the relative variance (3 E phi'^4 / (E phi'^2)^2 - 1) / n, which add up
over layers in the logarithm. The band is two such standard deviations. A batch averages part of
the scatter away, so that the band is wide rather than narrow.

Source: Poole et al. (2016) and Schoenholz et al. (2017) for the mean; Hanin (2018) for the
variance of a ReLU network, 5 / n a layer, of which this is the form for any activation.
"""

from __future__ import annotations

import math
from itertools import pairwise

from unvanish.core.explanations import Level, PredictedLayer, Prediction, Term
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording, Role, Site
from unvanish.explain.factors import sigma_w
from unvanish.theory.activations import ACTIVATIONS, Activation
from unvanish.theory.mean_field import chi_1, length_map, slope_moment

_LARGEST_LENGTH = 1e8
_STILL = 1e-9
"""Decades; a step that changes less than this only rearranges entries."""


def predict(recording: Recording, target: int, ledger: Term) -> Prediction:
    """Return what theory predicts for the path of a ledger.

    Args:
        recording: What was observed.
        target: Index of the site that is explained.
        ledger: The ledger; its path is followed from the target to the output.
    """
    steps = [recording.sites[target]]
    for term in reversed(list(_signal_terms(ledger))):
        if term.level is Level.MERGE:
            return Prediction(reason="branches come together: skips are not in this prediction")
        if abs(term.log10_gain) > _STILL or recording.sites[term.sites[0]].weights:
            steps.append(recording.sites[term.sites[0]])
    grads = recording[Quantity.LOG10_PROBE_GRAD_RMS]
    own = {p.name: p for p in recording.parameters}
    before = {
        edge.consumer: edge.producer
        for edge in recording.edges
        if recording.sites[edge.producer].role is Role.SIGNAL
    }
    layers: list[tuple[Site, float, float, Activation | None]] = []
    for site in steps:
        entering = recording.sites[before[site.index]].shape if site.index in before else ()
        spread = sigma_w(site, own, entering)
        if spread is not None:
            layers.append((site, spread**2, _bias_variance(site, own), None))
        elif site.op in ACTIVATIONS and layers and layers[-1][3] is None:
            layers[-1] = (*layers[-1][:3], ACTIVATIONS[site.op])
        else:
            return Prediction(reason=f"{site.name} is no plain layer")
    if len(layers) < 3:
        return Prediction(reason="there are fewer than three plain layers")
    q = recording[Quantity.ACTIVATION_RMS].get(layers[0][0]) ** 2
    if not 0.0 < q < _LARGEST_LENGTH:
        return Prediction(reason="the signal of the first layer was not measured")
    factors: list[float] = []
    variances: list[float] = []
    for (site, _, _, phi), (_, sigma_w2, sigma_b2, _) in pairwise(layers):
        phi = phi or ACTIVATIONS["identity"]
        moment = slope_moment(phi, q)
        factors.append(0.5 * math.log10(max(chi_1(phi, q, sigma_w2), 1e-300)))
        kurtosis = slope_moment(phi, q, 4) / max(moment * moment, 1e-300)
        variances.append((3.0 * kurtosis - 1.0) / _width(site))
        q = min(length_map(phi, q, sigma_w2, sigma_b2), _LARGEST_LENGTH)
    top = _norm(recording, layers[-1][0])
    rows = []
    for i, (site, *_) in enumerate(layers):
        if site not in grads:
            return Prediction(reason=f"no random-direction gradient was measured at {site.name}")
        rows.append(
            PredictedLayer(
                site=site.index,
                measured=_norm(recording, site) - top,
                predicted=math.fsum(factors[i:]),
                band=2.0 * 0.5 * math.sqrt(math.fsum(variances[i:])) / math.log(10.0),
            )
        )
    return Prediction(layers=tuple(rows))


def _signal_terms(term: Term) -> list[Term]:
    """Return the operations and merges behind the loss, from the output downwards."""
    if term.level is Level.LOSS:
        return []
    if term.level in (Level.OPERATION, Level.MERGE):
        return [term]
    return [found for child in term.children for found in _signal_terms(child)]


def _norm(recording: Recording, site: Site) -> float:
    grads = recording[Quantity.LOG10_PROBE_GRAD_RMS]
    return grads.get(site) + 0.5 * math.log10(max(1, site.size))


def _bias_variance(site: Site, own: dict[str, Parameter]) -> float:
    biases = [own[n].rms for n in site.weights if n in own and len(own[n].shape) == 1]
    return biases[0] ** 2 if biases and biases[0] >= 0.0 else 0.0


def _width(site: Site) -> int:
    if not site.shape:
        return 1
    return max(1, site.shape[1] if site.op.startswith("conv") else site.shape[-1])
