"""Plain recurrent layers and what takes their place: a gated layer of the same shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.prescriptions import Prescription
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.interception import is_shadowed
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.recurrent import MEMORY, Cell, cells_of

_CANDIDATE: Final = 2
"""Position of the candidate state, in an LSTM (i, f, g, o) and in a GRU (r, z, n)."""

MEMORY_BIAS: Final = "memory_bias"
"""Setting: what the gate that keeps the memory starts with."""


def plain_cells(case: Case) -> Mapping[str, Cell] | NotApplicable:
    """Return the plain recurrent layers of a network by path, or why they cannot be exchanged.

    Args:
        case: The network.
    """
    plain = {cell.path: cell for cell in cells_of(case) if cell.kind.startswith("rnn")}
    if not plain:
        return NotApplicable("no nn.RNN or nn.RNNCell runs in it")
    if "" in plain:
        return NotApplicable("the network itself is the recurrent layer; put it into a module")
    for path in plain:
        reason = _refusal(case.model.get_submodule(path))
        if reason:
            return NotApplicable(f"{path}: {reason}")
    return plain


def exchange(
    patient: Patient,
    prescription: Prescription,
    *,
    layer: Callable[..., nn.RNNBase],
    cell: Callable[..., nn.RNNCellBase],
) -> None:
    """Put gated layers in the place of plain ones, which give them their candidate state.

    Args:
        patient: Whose network.
        prescription: Where, and with which bias of the gate that keeps the memory.
        layer: What takes the place of `nn.RNN`.
        cell: What takes the place of `nn.RNNCell`.
    """
    bias = float(prescription.settings[MEMORY_BIAS])
    for path in prescription.places:
        old = patient.model.get_submodule(path)
        new = gated(old, layer=layer, cell=cell)
        own = dict(old.named_parameters())
        with torch.no_grad():
            for name, parameter in new.named_parameters():
                _fill(name, parameter, own[name], bias)
                parameter.requires_grad_(own[name].requires_grad)
        patient.surgery.replace(path, new)


def gated(
    old: nn.Module, *, layer: Callable[..., nn.RNNBase], cell: Callable[..., nn.RNNCellBase]
) -> nn.RNNBase | nn.RNNCellBase:
    """Return a gated layer or cell of the shape of a plain one, with weights of its own.

    Args:
        old: An `nn.RNN` or `nn.RNNCell`.
        layer: What takes the place of the one.
        cell: What takes the place of the other.
    """
    like = next(old.parameters())
    new: Any
    if isinstance(old, nn.RNN):
        new = layer(
            old.input_size,
            old.hidden_size,
            old.num_layers,
            bias=old.bias,
            batch_first=old.batch_first,
            dropout=old.dropout,
            bidirectional=old.bidirectional,
        )
    elif isinstance(old, nn.RNNCell):
        new = cell(old.input_size, old.hidden_size, bias=old.bias)
    else:
        raise TypeError(type(old).__name__)
    placed: nn.RNNBase | nn.RNNCellBase = new.to(device=like.device, dtype=like.dtype)
    return placed


def _refusal(module: nn.Module) -> str:
    kind = nn.RNN if isinstance(module, nn.RNN) else nn.RNNCell
    if is_shadowed(module) or type(module).forward is not kind.forward:
        return f"{type(module).__name__} has a forward of its own"
    if any(not leaf.startswith(("weight_", "bias_")) for leaf, _ in module.named_parameters()):
        return "its weights are parametrised"
    if any(leaf.endswith(("_g", "_v", "_orig")) for leaf, _ in module.named_parameters()):
        return "its weights are computed from others"
    return ""


def _fill(name: str, parameter: Tensor, own: Tensor, bias: float) -> None:
    """Give the candidate the old values, and the gate that keeps the memory its bias."""
    gates = parameter.chunk(parameter.shape[0] // own.shape[0])
    gates[_CANDIDATE].copy_(own)
    if name.startswith("bias_"):
        gates[MEMORY].fill_(bias if name.startswith("bias_ih") else 0.0)
