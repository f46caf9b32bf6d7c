"""Drawing weights anew: who feeds a unit through how many weights, and the gain of what follows."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from unvanish.core.operations import VIEW_OPS
from unvanish.treat.anatomy import Anatomy, Layer
from unvanish.treat.layouts import Layout, layout_of
from unvanish.treat.protocol import Case, Patient

__all__ = [
    "Layout",
    "centred",
    "drawable",
    "each",
    "free",
    "layout_of",
    "left_alone",
    "normal",
    "orthogonal",
    "redraw",
    "set_weight",
    "uniform",
    "why_not",
    "zero_bias",
]

_HOMOGENEOUS: Final = frozenset({"relu", "relu6", "leaky_relu", "prelu", "rrelu"})
_TURNS: Final = VIEW_OPS | frozenset({"t", "T", "mT", "H", "mH", "numpy_T", "adjoint"})
_NOT_DRAWN: Final = frozenset({"embedding", "embedding_bag"})


def drawable(case: Case | Patient) -> tuple[Layer, ...]:
    """Return the layers whose weight can be drawn anew: trained ones, no table of embeddings."""
    anatomy: Anatomy = case.anatomy
    trained = {p.name for p in anatomy.recording.parameters if p.requires_grad}
    return tuple(
        layer
        for layer in anatomy.layers
        if layer.weight in trained and layer.site.function not in _NOT_DRAWN
    )


def free(case: Case) -> tuple[Layer, ...]:
    """Return the drawable layers that a start for hidden and output layers is meant for."""
    return tuple(layer for layer in drawable(case) if not why_not(layer, case))


def why_not(layer: Layer, case: Case | Patient) -> str:
    """Say why an initialisation leaves a layer alone; empty where it draws it.

    Args:
        layer: Any layer.
        case: The network it belongs to.
    """
    parameter = next((p for p in case.anatomy.recording.parameters if p.name == layer.weight), None)
    if parameter is None or not parameter.requires_grad:
        return "frozen"
    if layer.site.function in _NOT_DRAWN:
        return "a table of embeddings"
    if layer.is_recurrent:
        return "recurrent"
    if _is_computed(layer, case):
        return "computed from other numbers"
    if layer.gates:
        return "a gate"
    if layer.mixes:
        return "queries, keys or values"
    if _is_factor(layer):
        return "multiplied with other signal"
    found = case.diagnosis.findings if isinstance(case, Case) else ()
    asked = {name for f in found if f.code == "UV104" for name in f.parameters}
    if parameter.rms == 0.0 and (layer.joins or layer.is_output) and layer.weight not in asked:
        return "zero at the end of a branch, on purpose"
    return ""


def redraw(
    patient: Patient,
    places: tuple[str, ...],
    draw: Callable[[Layer, Tensor, Layout], Tensor | None],
    bias: Callable[[Layer, Tensor], Tensor] | None = None,
) -> None:
    """Draw weights anew, set their biases, and note what is left as it is.

    Args:
        patient: Whose weights.
        places: Names of the weights.
        draw: Returns the new values of a layer's weight; None to leave the layer alone.
        bias: Returns the new values of its bias; zero by default.
    """
    for layer, weight, layout in each(patient, places):
        values = draw(layer, weight, layout)
        if values is None:
            continue
        set_weight(patient, layer, values)
        if bias is None:
            zero_bias(patient, layer)
        elif layer.bias and is_trained(patient, layer.bias):
            old = patient.surgery.weight_of(layer.bias)
            patient.surgery.set_values(layer.bias, bias(layer, old))
    alone = left_alone(patient, but=places)
    if alone:
        patient.notes.append(f"left as they are: {alone}")


def _is_factor(layer: Layer) -> bool:
    """Tell whether a function of a layer is multiplied with other signal, as in SwiGLU.

    A ReLU may be: its gain holds whatever it is multiplied with.
    """
    function = layer.activation_site
    return function is not None and function.gates and layer.activation not in _HOMOGENEOUS


def left_alone(case: Case | Patient, *, but: tuple[str, ...] = ()) -> str:
    """Name the layers that an initialisation leaves alone, with the reasons; may be empty.

    Args:
        case: The network.
        but: Weights that are drawn all the same.
    """
    reasons: dict[str, list[str]] = {}
    for layer in case.anatomy.layers:
        reason = why_not(layer, case)
        if reason and layer.weight not in but:
            reasons.setdefault(reason, []).append(layer.weight)
    return "; ".join(
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''} ({reason})"
        for reason, names in reasons.items()
    )


def _is_computed(layer: Layer, case: Case | Patient) -> bool:
    """Tell whether a weight is the result of something that cannot be turned round.

    PyTorch's weight normalisation can be: length and direction are set. Spectral normalisation,
    an orthogonal parametrisation, a product of two matrices and a scaled weight cannot.
    """
    if "parametrizations." in layer.weight:
        path, _, rest = layer.weight.rpartition("parametrizations.")
        module = case.model.get_submodule(path.rstrip("."))
        return not _turns_round(module, rest.split(".")[0])
    if _length_of(layer.weight, case.model):
        return False
    made_from = case.anatomy.made_from
    waiting, seen = [layer.site.index], set[int]()
    while waiting:
        for site in made_from.get(waiting.pop(), ()):
            if site.op not in _TURNS:
                return True
            if site.index not in seen:
                seen.add(site.index)
                waiting.append(site.index)
    return layer.weight.endswith("weight_orig")


def _turns_round(module: nn.Module, leaf: str) -> bool:
    """Tell whether a parametrised weight takes any values it is given. Tried on a copy."""
    if not parametrize.is_parametrized(module, leaf):
        return False
    try:
        parts = copy.deepcopy(module.parametrizations[leaf]).eval()  # type: ignore[index,union-attr]
        with torch.no_grad():
            was = parts()
            numbers = torch.Generator().manual_seed(0)
            wanted = torch.randn(was.shape, generator=numbers).to(was)
            parts.right_inverse(wanted)
            return bool(torch.allclose(parts(), wanted, rtol=0.02, atol=0.02))
    except Exception:  # whatever a right_inverse raises, it is none
        return False


def _length_of(name: str, model: nn.Module) -> str:
    """Return the name of the lengths where a weight is the direction of an old weight norm."""
    path, _, leaf = name.rpartition(".")
    twin = f"{path}.{leaf.removesuffix('_v')}_g".lstrip(".")
    if not leaf.endswith("_v"):
        return ""
    return twin if any(twin == known for known, _ in model.named_parameters()) else ""


def set_weight(patient: Patient, layer: Layer, values: Tensor) -> None:
    """Give a layer's weight other values, also where a weight normalisation computes it.

    Args:
        patient: Whose layer.
        layer: The layer.
        values: The weight as it is to be used.
    """
    length = _length_of(layer.weight, patient.model)
    patient.surgery.set_values(layer.weight, values)
    if length:
        rows = values.flatten(1).norm(dim=1)
        old = patient.surgery.weight_of(length)
        if old.numel() != rows.numel():
            rows = values.norm()
        patient.surgery.set_values(length, rows.reshape(old.shape))


def normal(weight: Tensor, deviation: float) -> Tensor:
    """Draw a tensor like a weight from a normal distribution."""
    return torch.empty_like(weight).normal_(0.0, deviation)


def uniform(weight: Tensor, limit: float) -> Tensor:
    """Draw a tensor like a weight, uniformly between -limit and limit."""
    return torch.empty_like(weight).uniform_(-limit, limit)


def orthogonal(weight: Tensor, layout: Layout, gain: float) -> Tensor:
    """Draw a weight whose matrices are orthogonal, each group or stacked one by itself.

    The smaller side is orthonormal: no direction of it is stretched or lost. The whole is scaled
    so that the mean square of a unit is kept, as with entries of variance 1 / fan-in: an
    orthonormal matrix has entries of variance 1 / max(rows, columns), which is too little where
    there are more outputs than inputs, or where a stride lets only a part of the taps meet.

    Args:
        weight: The weight, for its shape and type.
        layout: How it connects.
        gain: Factor of the result.
    """
    precise = torch.float64 if weight.dtype == torch.float64 else torch.float32
    drawn = torch.empty_like(weight, dtype=precise, memory_format=torch.contiguous_format)
    for matrix in _matrices(drawn, layout):
        flat = matrix.new_empty(matrix.shape[0], math.prod(matrix.shape[1:]))
        nn.init.orthogonal_(flat, gain * math.sqrt(max(flat.shape) / layout.fan_in))
        matrix.copy_(flat.reshape(matrix.shape))
    return drawn.to(weight)


def centred(weight: Tensor, layout: Layout, gain: float) -> Tensor:
    """Draw a convolution that is orthogonal on its centre tap and zero on all others.

    Args:
        weight: The weight, with odd numbers of taps.
        layout: How it connects.
        gain: Factor of the result, by which the mean square of a unit grows.
    """
    taps = weight.shape[2:]
    one = replace(layout, fan_in=layout.fan_in / math.prod(taps))
    middle = math.prod(taps) // 2
    drawn = torch.zeros_like(weight, memory_format=torch.contiguous_format)
    drawn.flatten(2)[:, :, middle] = orthogonal(weight.flatten(2)[:, :, middle], one, gain)
    return drawn


def _matrices(weight: Tensor, layout: Layout) -> Iterator[Tensor]:
    """Yield the matrices of a weight, outputs first, as views."""
    if layout.outputs >= 2:  # one matrix for every index of the axes before
        for matrix in weight.flatten(0, -3):
            yield matrix.transpose(0, 1)
        return
    for part in weight.chunk(layout.groups, dim=0):
        yield part.transpose(0, layout.outputs)


def each(patient: Patient, names: tuple[str, ...]) -> Iterator[tuple[Layer, Tensor, Layout]]:
    """Yield the layers of some weights with their weight and layout.

    Args:
        patient: Whose layers.
        names: Names of weights, as a prescription's `places` holds them.
    """
    for name in names:
        layer = patient.anatomy.layer_of(name)
        if layer is None:
            continue
        weight = patient.surgery.weight_of(name)
        yield layer, weight, layout_of(layer, weight, patient.model)


def zero_bias(patient: Patient, layer: Layer) -> None:
    """Set a layer's bias to zero, where it has one that is trained."""
    if layer.bias and is_trained(patient, layer.bias):
        patient.surgery.set_values(
            layer.bias, torch.zeros_like(patient.surgery.weight_of(layer.bias))
        )


def is_trained(case: Case | Patient, name: str) -> bool:
    """Tell whether a parameter is there and not frozen."""
    parameters = case.anatomy.recording.parameters
    return any(p.requires_grad for p in parameters if name == p.name or name in p.aliases)
