"""Where a layer that standardises fits, and putting it there.

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

from unvanish.core.verdicts import NotApplicable
from unvanish.core.wiring import Wiring
from unvanish.observe.standing import sample_counts, standing_tensors
from unvanish.treat.anatomy import Layer
from unvanish.treat.calls import Calls, calls_of
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
_BY_HAND: Final = frozenset({"rsqrt", "std", "var", "std_mean", "var_mean"})
"""Steps that give away a normalisation that somebody wrote down."""
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
        samples: Samples in the batch; 0 where that is not known.
    """

    layer: Layer
    spot: Spot
    shape: tuple[int, ...]
    units: int
    samples: int

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
        """Whether a linear layer works on every token of a sample alike, in rows or not."""
        rows = self.samples > 0 and self.shape[0] != self.samples
        return not self.is_convolution and (len(self.shape) > 2 or rows)


def fitting(case: Case | Patient, weights: Iterable[str] | None = None) -> tuple[Fitting, ...]:
    """Return the layers behind which a normalisation fits, in forward order.

    Args:
        case: The network.
        weights: Names of the weights that are asked for; None for every one.
    """
    layers = hidden_layers(case, weights)
    found = [
        (layer, spot)
        for layer, spot in zip(layers, _spots_of(case, layers), strict=True)
        if spot is not None
    ]
    passed = passing(case.model, case.batch, [spot for _, spot in found])
    standing = standing_tensors(case.model, case.anatomy.recording.context.standing)
    counts = sample_counts(standing.values())
    return tuple(
        Fitting(
            layer,
            spot,
            tuple(outputs[0].shape),
            _units(layer, outputs[0]),
            len(outputs[0]) if len(outputs[0]) in counts else case.batch.size,
        )
        for (layer, spot), outputs in zip(found, passed, strict=True)
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
    sites_of_signal = list(anatomy.recording.signal_sites())
    sites = [site for site in sites_of_signal if site.weights]
    loops = in_time_loops(wiring, sites)
    bare = not anatomy.norms and not any(site.op in _BY_HAND for site in sites_of_signal)
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
        part = make(one)
        patient.surgery.insert(
            one.spot.path,
            part,
            "after",
            function=one.spot.function,
            call=one.spot.call,
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
    least = max(1e-12, 1e-3 * min(expected, default=1.0))
    return min(1e-5, float(f"{least:.1e}"))


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


def _spots_of(case: Case | Patient, layers: Sequence[Layer]) -> list[Spot | None]:
    """Return the call that makes each layer's output; None where several calls share a weight."""
    spots: list[Spot | None] = []
    calls: Calls | None = None
    for layer in layers:
        module = case.model.get_submodule(layer.path) if layer.path else case.model
        if isinstance(module, _LAYERS) and type(module).__module__.startswith("torch.nn."):
            spots.append(Spot(path=layer.path, where="after"))
            continue
        standing = case.anatomy.recording.context.standing
        calls = calls or calls_of(case.model, case.batch.inputs, standing=standing)
        makers = {
            call.place
            for call in calls
            if layer.weight in call.weights and call.function in _LINEAR | _CONVOLUTIONS
        }
        path, function, number = next(iter(makers), ("", "", None))
        own = Spot(path=path, where="after", function=function, call=number)
        spots.append(own if len(makers) == 1 else None)
    return spots


def _units(layer: Layer, output: Tensor) -> int:
    axis = 1 if layer.site.function in _CONVOLUTIONS else -1
    return int(output.shape[axis])


def _is_batched(layer: Layer, output: Tensor) -> bool:
    """Tell whether an output has an axis over samples."""
    function = layer.site.function
    if function in _CONVOLUTIONS:
        return output.ndim == int(function[-2]) + 2
    return output.ndim >= 2
