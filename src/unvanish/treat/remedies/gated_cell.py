"""Gated cell: a plain recurrent layer becomes a GRU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.interception import is_shadowed
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.recurrent import MEMORY, cells_of, memory_bias


@final
@dataclass(frozen=True, kw_only=True)
class GatedCell:
    r"""Exchange a plain recurrent layer for one whose gates let a memory last: a GRU.

    ## When to use
    An `nn.RNN` or `nn.RNNCell` over more than some ten steps. Its gradient is multiplied by the
    same matrix and a slope at every step; a gated state is handed on by a factor near 1.

    ## What it changes
    `nn.RNN` becomes `nn.GRU`, `nn.RNNCell` becomes `nn.GRUCell`, with the same layers,
    directions, dropout and layout. The old weights and biases become those of the candidate
    state; those of the two gates are new, with the update gate biased towards keeping.

    ## What it costs
    Three times the parameters and the time of the layer. A state dict of the old network no
    longer loads, and a ReLU layer gets tanh.

    ## Settings
    `memory_bias`: the least of 1, 2 and 3 with which the state outlasts the T steps of the
    batch, as forget-bias has it.

    ## Where we differ
    An LSTM would do as well, but hands on a pair where the code around it unpacks a single state.
    The GRU keeps that interface. The bias towards keeping is of forget-bias; the paper has none.

    ## Composes with
    forget-bias, chrono and orthogonal-recurrence, which are made after it.

    ## Evidence
    A gradient that enters at the last of 101 steps, 64 units, three seeds, random inputs: on its
    way to the first step it loses 20 to 26 decades in `nn.RNN` and 3.6 in what takes its place.
    The first of 60 tokens, 32 units, 500 steps of Adam at 3e-3, two seeds: recalled always, and
    at chance (11 % and 12 % of 8 tokens) without.

    ## Source
    Cho and others (2014), section 2.3; Hochreiter and Schmidhuber (1997) for gates that keep.
    """

    name: ClassVar[str] = "gated-cell"
    treats: ClassVar[frozenset[str]] = frozenset({"UV301"})
    change: ClassVar[Change] = Change.PATH
    keeps: ClassVar[frozenset[Keeps]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["cho2014"], SOURCES["hochreiter1997"])
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks that hold an `nn.RNN` or `nn.RNNCell` below their root."""
        plain = {cell.path: cell for cell in cells_of(case) if cell.kind.startswith("rnn")}
        if not plain:
            return NotApplicable("no nn.RNN or nn.RNNCell runs in it")
        for path in plain:
            reason = _refusal(case.model.get_submodule(path))
            if not path:
                reason = "the network itself is the recurrent layer; put it into a module"
            if reason:
                return NotApplicable(f"{path}: {reason}" if path else reason)
        steps = max(cell.steps for cell in plain.values())
        return Prescription(
            remedy=self.name,
            why=f"{len(plain)} plain recurrent layers run over {steps} steps",
            change=self.change,
            keeps=self.keeps,
            settings={"memory_bias": memory_bias(steps)},
            places=tuple(plain),
            cost="three times the parameters of these layers, and their state-dict shapes",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put a GRU in the place of each."""
        bias = float(prescription.settings["memory_bias"])
        for path in prescription.places:
            old = patient.model.get_submodule(path)
            new = _gated(old)
            own = dict(old.named_parameters())
            with torch.no_grad():
                for name, parameter in new.named_parameters():
                    _fill(name, parameter, own[name], bias)
                    parameter.requires_grad_(own[name].requires_grad)
            patient.surgery.replace(path, new)


def _refusal(module: nn.Module) -> str:
    kind = nn.RNN if isinstance(module, nn.RNN) else nn.RNNCell
    if is_shadowed(module) or type(module).forward is not kind.forward:
        return f"{type(module).__name__} has a forward of its own"
    if any(not leaf.startswith(("weight_", "bias_")) for leaf, _ in module.named_parameters()):
        return "its weights are parametrised"
    if any(leaf.endswith(("_g", "_v", "_orig")) for leaf, _ in module.named_parameters()):
        return "its weights are computed from others"
    return ""


def _gated(old: nn.Module) -> nn.Module:
    """Return a GRU of the shape of a plain layer or cell."""
    like = next(old.parameters())
    if isinstance(old, nn.RNNCell):
        cell = nn.GRUCell(old.input_size, old.hidden_size, bias=old.bias)
        return cell.to(device=like.device, dtype=like.dtype)
    if not isinstance(old, nn.RNN):
        raise TypeError(type(old).__name__)
    layer = nn.GRU(
        old.input_size,
        old.hidden_size,
        old.num_layers,
        bias=old.bias,
        batch_first=old.batch_first,
        dropout=old.dropout,
        bidirectional=old.bidirectional,
    )
    return layer.to(device=like.device, dtype=like.dtype)


def _fill(name: str, parameter: Tensor, own: Tensor, bias: float) -> None:
    """Give the candidate the old values, and the update gate its bias."""
    gates = parameter.chunk(3)
    gates[-1].copy_(own)
    if name.startswith("bias_"):
        gates[MEMORY].fill_(bias if name.startswith("bias_ih") else 0.0)
