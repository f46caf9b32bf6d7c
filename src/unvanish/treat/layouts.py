"""How weight tensors connect inputs with outputs.

The layouts differ: PyTorch's linear layers keep (out, in), ``x @ W`` and GPT-2's layers
(in, out), convolutions (out, in / groups, taps), transposed ones (in, out / groups, taps), and
recurrent and attention layers stack several matrices along the first axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from torch import Tensor, nn

from unvanish.treat.anatomy import Layer

_IN_OUT: Final = frozenset({"matmul", "mm", "addmm", "bmm", "addbmm", "baddbmm", "mv", "einsum"})


@dataclass(frozen=True, slots=True)
class Layout:
    """How a weight tensor connects inputs with outputs.

    Attributes:
        fan_in: Weights that feed one output, on average (a transposed convolution with a stride
            feeds an output through a part of its taps).
        fan_out: Weights that one input feeds.
        outputs: Number of the axis over outputs, within a group.
        groups: Number of groups, or of stacked matrices, along the first axis.
        stacked: Whether these are stacked matrices, each with all inputs, and no groups.
    """

    fan_in: float
    fan_out: float
    outputs: int = 0
    groups: int = 1
    stacked: bool = False


def layout_of(layer: Layer, weight: Tensor, model: nn.Module) -> Layout:
    """Return how a layer's weight connects inputs with outputs.

    Args:
        layer: The layer.
        weight: Its weight, with two axes or more.
        model: The network, for a convolution's stride and groups.
    """
    module = _module_at(model, layer.path)
    shape = tuple(weight.shape)
    taps = math.prod(shape[2:])
    function = layer.site.function
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        stride = math.prod(module.stride)
        groups = module.groups
        return Layout(shape[0] / groups * taps / stride, shape[1] * taps, outputs=1, groups=groups)
    if "conv_transpose" in function:
        return Layout(shape[0] * taps, shape[1] * taps, outputs=1)
    if isinstance(module, nn.modules.conv._ConvNd) or function.startswith("conv"):
        groups = int(getattr(module, "groups", 1))
        stride = math.prod(getattr(module, "stride", ()) or (1,))
        return Layout(shape[1] * taps, shape[0] / groups * taps / stride, groups=groups)
    if function == "bilinear":
        return Layout(shape[1] * shape[2], shape[0])
    stacked = _stacked(layer, module)
    if stacked > 1:
        return Layout(shape[1], shape[0] / stacked, groups=stacked, stacked=True)
    if len(shape) == 2 and _is_in_out(layer, module, shape):
        return Layout(shape[0], shape[1], outputs=1)
    if len(shape) == 2:
        return Layout(shape[1], shape[0])
    return Layout(shape[-2], shape[-1], outputs=len(shape) - 1)


def _stacked(layer: Layer, module: nn.Module | None) -> int:
    """Return how many matrices are stacked along the first axis."""
    leaf = layer.weight.rpartition(".")[2]
    if isinstance(module, nn.MultiheadAttention) and leaf == "in_proj_weight":
        return 3
    if isinstance(module, nn.LSTM | nn.LSTMCell) and leaf.startswith("weight_"):
        return 4 if "hr" not in leaf else 1
    if isinstance(module, nn.GRU | nn.GRUCell) and leaf.startswith("weight_"):
        return 3
    return 1


def _is_in_out(layer: Layer, module: nn.Module | None, shape: tuple[int, ...]) -> bool:
    """Tell whether a matrix has its inputs along the first axis."""
    if isinstance(module, nn.Linear | nn.RNNBase | nn.RNNCellBase | nn.MultiheadAttention):
        return False
    if layer.site.function == "linear":
        return False
    if layer.site.shape and shape[0] != shape[1]:
        return layer.site.shape[-1] == shape[1]
    return layer.site.function in _IN_OUT


def _module_at(model: nn.Module, path: str) -> nn.Module | None:
    try:
        return model.get_submodule(path) if path else model
    except AttributeError:
        return None
