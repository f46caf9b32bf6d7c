"""Where a layer that standardises fits, and what theory says of the gradient behind it.

It stands behind a hidden linear layer or convolution and before the function that follows. Left
alone are layers that have one already, the output, gates, recurrent layers and loops over time,
the projections of an attention and embeddings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from torch import Tensor, nn

from unvanish.core.records import Recording, Role, Site
from unvanish.core.verdicts import NotApplicable
from unvanish.core.wiring import Wiring
from unvanish.theory.activations import Activation
from unvanish.theory.normalisation import chi_batch_norm, chi_layer_norm
from unvanish.treat.anatomy import Layer, theory_of
from unvanish.treat.layouts import layout_of
from unvanish.treat.loops import depends, in_time_loops
from unvanish.treat.probing import Spot, passing
from unvanish.treat.protocol import Case, Patient

NORMALISATIONS: Final = frozenset(
    {"batch-norm", "layer-norm", "rms-norm", "group-norm", "weight-standardisation"}
)
"""Names of the remedies that standardise; one network takes one of them."""

_LINEAR: Final = frozenset({"linear", "matmul", "mm", "addmm", "bmm", "baddbmm"})
_CONVOLUTIONS: Final = frozenset(
    "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d".split()
)
_LAYERS: Final = (nn.Linear, nn.modules.conv._ConvNd)
_SMALLEST_VARIANCE: Final = 0.04
"""Of the outputs of a sigmoid of normalised signal, .0434, the least of the usual functions."""


@dataclass(frozen=True, slots=True)
class Fitting:
    """A layer that can be normalised.

    Attributes:
        layer: The layer.
        spot: Its output.
        shape: Shape of its output.
        units: Number of its units.
    """

    layer: Layer
    spot: Spot
    shape: tuple[int, ...]
    units: int

    @property
    def is_convolution(self) -> bool:
        """Whether its units are the second axis and positions follow."""
        return self.layer.site.function in _CONVOLUTIONS

    @property
    def positions(self) -> int:
        """Number of positions that share a unit's weights in one sample."""
        return math.prod(self.shape[2:] if self.is_convolution else self.shape[1:-1])

    @property
    def has_tokens(self) -> bool:
        """Whether a linear layer works on every token of a sample alike."""
        return not self.is_convolution and len(self.shape) > 2


def fitting(case: Case | Patient, weights: Iterable[str] | None = None) -> tuple[Fitting, ...]:
    """Return the layers behind which a normalisation fits, in forward order.

    Args:
        case: The network.
        weights: Names of the weights that are asked for; None for every one.
    """
    layers = hidden_layers(case, weights)
    spots = [_spot_of(case.anatomy.recording, case.model, layer) for layer in layers]
    passed = passing(case.model, case.batch, spots)
    return tuple(
        Fitting(layer, spot, tuple(outputs[0].shape), _units(layer, outputs[0]))
        for layer, spot, outputs in zip(layers, spots, passed, strict=True)
        if outputs and _is_batched(layer, outputs[0])
    )


def hidden_layers(case: Case | Patient, weights: Iterable[str] | None = None) -> tuple[Layer, ...]:
    """Return the linear layers and convolutions that feed a function and have no normalisation.

    Where the network has no normalisation at all, the last layer of a residual branch is one too.

    Args:
        case: The network.
        weights: Names of the weights that are asked for; None for every one.
    """
    anatomy = case.anatomy
    wanted = None if weights is None else frozenset(weights)
    wiring = Wiring(anatomy.recording)
    sites = [site for site in anatomy.recording.signal_sites() if site.weights]
    loops = in_time_loops(wiring, sites)
    bare = not anatomy.norms
    return tuple(
        layer
        for layer in anatomy.hidden
        if layer.site.function in _LINEAR | _CONVOLUTIONS
        and layer.norm_site is None
        and not (layer.is_recurrent or layer.gates or layer.site.index in loops)
        and (layer.activation or (bare and layer.joins and layer.fed_by))
        and (wanted is None or layer.weight in wanted)
    )


def insert_behind(
    patient: Patient, weights: Sequence[str], make: Callable[[Fitting], nn.Module]
) -> None:
    """Put a normalisation behind some layers.

    Args:
        patient: The network.
        weights: Names of the layers' weights.
        make: Makes the normalisation of a layer.
    """
    for one in fitting(patient, weights):
        turns = one.spot.turns()
        if turns is not None:
            patient.surgery.insert("", None, "begin", turns=turns)
        part = make(one)
        patient.surgery.insert(
            one.spot.path,
            part,
            "after",
            function=one.spot.function,
            turns=turns,
            like=(one.layer.weight, one.layer.bias),
            before="no normalisation",
            after=repr(part),
            source=one.layer.site.source,
        )


def why_none(case: Case) -> NotApplicable:
    """Say why no layer of a network can be normalised."""
    norms = sorted({site.op for site in case.anatomy.norms})
    if norms:
        return NotApplicable(f"its hidden layers are normalised: {', '.join(norms)}")
    if not case.anatomy.layers:
        return NotApplicable("it has no layer")
    return NotApplicable(
        "no hidden linear layer or convolution feeds a function: recurrent layers, gates, the "
        "projections of attention, embeddings and the output are left alone"
    )


def epsilon(case: Case, fittings: Sequence[Fitting]) -> float:
    """Return what is added to a variance: PyTorch's 1e-5, or a thousandth of the least expected.

    A weight drawn far too small makes signal whose variance is below 1e-5, and a normalisation
    that adds so much would leave it as it is.

    Args:
        case: The network.
        fittings: The layers to be normalised.
    """
    parameters = dict(case.model.named_parameters())
    expected = []
    for one in fittings:
        weight = parameters.get(one.layer.weight)
        if weight is None or not weight.numel():
            continue
        fan_in = layout_of(one.layer, weight, case.model).fan_in
        size = float(weight.detach().double().square().mean())
        expected.append(size * fan_in * _SMALLEST_VARIANCE)
    return min(1e-5, max(1e-12, 1e-3 * min(expected, default=1.0)))


@dataclass(frozen=True, slots=True)
class Forecast:
    """What theory says of the gradient in a normalised network.

    Attributes:
        decades: Change on the way from the output to the input that passes the fewest
            normalised layers; positive where it grows.
        layers: Number of these layers.
        function: Name of the function that changes it most.
        factor: Factor by which a layer with that function changes the gradient.
    """

    decades: float
    layers: int
    function: str
    factor: float


def useless(case: Case, fittings: Sequence[Fitting], limit: float, name: str) -> str:
    """Say why a normalisation over units cannot cure a network; empty where it may.

    Args:
        case: The network.
        fittings: The layers to be normalised.
        limit: Decades that the gradient may change all the same.
        name: What the normalisation is called.
    """
    seen = forecast(case, [one.layer for one in fittings], over_batch=False)
    if abs(seen.decades) <= limit:
        return ""
    way = "lose" if seen.decades < 0 else "gain"
    said = (
        f"{name} before {seen.function} passes on {seen.factor:.3g} of a gradient a layer, "
        f"whatever the weights are: {seen.layers} layers {way} {abs(seen.decades):.1f} decades"
    )
    if seen.decades > 0:
        return said
    return (
        f"{said}. It takes away the mean over units, and the mean that each unit has of its own "
        f"after the {seen.function} stays; batch-norm and weight-standardisation take that away"
    )


def forecast(case: Case, layers: Sequence[Layer], *, over_batch: bool) -> Forecast:
    """Return the change of the gradient over the layers that no skip connection leads around.

    Args:
        case: The network.
        layers: The layers that are normalised.
        over_batch: Whether each unit loses its own mean, as in BatchNorm, rather than all
            units of a layer their common one.
    """
    steps: dict[str, tuple[float, str]] = {}
    for layer in layers:
        phi = theory_of(layer, case.model) if layer.activation else None
        if phi is not None:
            steps[layer.weight] = (_decades(phi, over_batch=over_batch), layer.activation)
    change, passed = _least_change(case.anatomy.recording, steps)
    worst = max((steps[name] for name in passed), key=lambda step: abs(step[0]), default=(0.0, ""))
    return Forecast(change, len(passed), worst[1], 10.0 ** worst[0])


def _decades(phi: Activation, *, over_batch: bool) -> float:
    chi = chi_batch_norm(phi) if over_batch else chi_layer_norm(phi)
    return 0.5 * math.log10(chi)


def _least_change(
    recording: Recording, steps: dict[str, tuple[float, str]]
) -> tuple[float, tuple[str, ...]]:
    """Return the least change among the ways to each output, for the worst output."""
    wiring = Wiring(recording)
    best: dict[int, tuple[float, tuple[str, ...]]] = {}
    for site in recording.signal_sites():
        before = [best[one.index] for one in wiring.producers(site) if one.index in best]
        change, passed = min(before, key=lambda way: abs(way[0]), default=(0.0, ()))
        own = next((name for name in site.weights if name in steps), "")
        if own:
            change, passed = change + steps[own][0], (*passed, own)
        best[site.index] = (change, passed)
    ends = [
        best[site.index]
        for site in recording.signal_sites()
        if all(one.role is not Role.SIGNAL for one in wiring.consumers(site))
    ]
    return max(ends, key=lambda way: abs(way[0]), default=(0.0, ()))


def is_deep_in_itself(case: Case, layer: Layer) -> bool:
    """Tell whether a layer works on its own output: depth with shared weights.

    Args:
        case: The network.
        layer: The layer.
    """
    if layer.calls < 2:
        return False
    wiring = Wiring(case.anatomy.recording)
    calls = [s for s in case.anatomy.recording.signal_sites() if layer.weight in s.weights]
    return any(depends(wiring, calls[-1], one) for one in calls[:1])


def _spot_of(recording: Recording, model: nn.Module, layer: Layer) -> Spot:
    """Return the call that makes a layer's output."""
    module = model.get_submodule(layer.path) if layer.path else model
    if isinstance(module, _LAYERS) and type(module).__module__.startswith("torch.nn.modules"):
        return Spot(path=layer.path, where="after")
    function = layer.site.function
    calls = [
        site
        for site in recording.sites
        if site.path == layer.path and site.function == function and _is_main(site)
    ]
    own = frozenset(n for n, site in enumerate(calls) if layer.weight in site.weights)
    if len(own) == len(calls):
        return Spot(path=layer.path, where="after", function=function)
    return Spot(path=layer.path, where="after", function=function, chosen=own, calls=len(calls))


def _is_main(site: Site) -> bool:
    return site.op in _LINEAR | {"conv"} or site.op == site.function


def _units(layer: Layer, output: Tensor) -> int:
    axis = 1 if layer.site.function in _CONVOLUTIONS else -1
    return int(output.shape[axis])


def _is_batched(layer: Layer, output: Tensor) -> bool:
    """Tell whether an output has an axis over samples."""
    function = layer.site.function
    if function in _CONVOLUTIONS:
        return output.ndim == int(function[-2]) + 2
    return output.ndim >= 2
