"""The recurrent layers of a network: their matrices and gates, and how many steps they run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from torch import Tensor, nn

from unvanish.core.records import Recording, Site
from unvanish.core.wiring import Wiring
from unvanish.diagnose.time_loops import recurrences
from unvanish.theory.recurrent import carried
from unvanish.treat.anatomy import activation_name
from unvanish.treat.protocol import Case, Patient

MEMORY: Final = 1
"""Position of the gate that keeps the state: forget in LSTM (i, f, g, o), update in GRU
(r, z, n), where PyTorch has h' = (1 - z) n + z h."""

_GATES: Final = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
_REACH: Final = 1e-3
"""What has to be left of a gradient for a memory to reach: the 3 decades of UV301."""

_THROUGH: Final = frozenset(
    "add sub mul view transpose select slice getitem squeeze unsqueeze reshape contiguous "
    "unbind split chunk dropout layer_norm rms_norm batch_norm".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One recurrence of a layer or cell of `torch.nn`: one layer in one direction.

    Attributes:
        path: Path of the module.
        kind: ``"lstm"``, ``"gru"``, ``"rnn_tanh"`` or ``"rnn_relu"``.
        weight: Name of the recurrent matrix, the gates stacked along its first axis.
        bias_ih: Name of the bias beside the input matrix; empty without one.
        bias_hh: Name of the bias beside the recurrent matrix; the two are added.
        steps: Time steps in one pass; 0 where they were not seen.
    """

    path: str
    kind: str
    weight: str
    bias_ih: str
    bias_hh: str
    steps: int

    @property
    def gates(self) -> int:
        """Number of matrices that are stacked."""
        return _GATES[self.kind]


def cells_of(case: Case) -> tuple[Cell, ...]:
    """Return every recurrence of `torch.nn` that ran, in the order of the modules.

    Args:
        case: Whose network.
    """
    names = {p.name for p in case.recording.parameters if p.used}
    steps = _steps(case.recording)
    found = []
    for path, module in case.model.named_modules():
        kind = kind_of(module)
        for suffix in _suffixes(module) if kind else ():
            weight = _name(names, path, f"weight_hh{suffix}")
            if weight:
                found.append(
                    Cell(
                        path=path,
                        kind=kind,
                        weight=weight,
                        bias_ih=_name(names, path, f"bias_ih{suffix}"),
                        bias_hh=_name(names, path, f"bias_hh{suffix}"),
                        steps=steps.get(weight, 0),
                    )
                )
    return tuple(found)


def kind_of(module: nn.Module) -> str:
    """Return what a module of `torch.nn` computes from step to step, or ``""``."""
    if isinstance(module, nn.LSTM | nn.LSTMCell):
        return "lstm"
    if isinstance(module, nn.GRU | nn.GRUCell):
        return "gru"
    if isinstance(module, nn.RNN | nn.RNNCell):
        return f"rnn_{module.nonlinearity}"
    return ""


def memory_bias(steps: int) -> float:
    """Return the least of 1, 2 and 3 with which a memory reaches over a sequence.

    Args:
        steps: Time steps; 3 is returned where none of them reaches.

    Example:
        >>> memory_bias(20), memory_bias(50), memory_bias(100)
        (1.0, 2.0, 3.0)
    """
    return next((bias for bias in (1.0, 2.0) if carried(bias, steps) >= _REACH), 3.0)


def set_gate(patient: Patient, bias_ih: str, position: int, values: Tensor | float) -> None:
    """Give one gate a bias, as `set_gates` gives it to several.

    Args:
        patient: Whose network.
        bias_ih: Name of the bias beside the input matrix.
        position: Which gate.
        values: The bias, one for every unit or for all.
    """
    set_gates(patient, bias_ih, {position: values})


def set_gates(patient: Patient, bias_ih: str, values: Mapping[int, Tensor | float]) -> None:
    """Give gates a bias: the one beside the input becomes it, the other zero.

    Args:
        patient: Whose network.
        bias_ih: Name of the bias beside the input matrix.
        values: Position of a gate to its bias, one for every unit or for all.
    """
    surgery = patient.surgery
    for name, is_first in ((bias_ih, True), (_beside(bias_ih), False)):
        stacked = surgery.weight_of(name).clone()
        gates = stacked.chunk(stacked.numel() // units_of(patient, bias_ih))
        for position, new in values.items():
            gate = gates[position]
            bias = new if is_first else 0.0
            gate.copy_(bias if isinstance(bias, Tensor) else gate.new_tensor(bias))
        surgery.set_values(name, stacked)


def units_of(patient: Patient, name: str) -> int:
    """Return the width of the state of the layer or cell that a parameter belongs to."""
    return int(patient.model.get_submodule(owner_of(name)).hidden_size)  # type: ignore[arg-type]


def owner_of(name: str) -> str:
    """Return the path of the module that a parameter belongs to, parametrised or not."""
    stem, found, _ = name.rpartition("parametrizations.")
    return stem.rstrip(".") if found else name.rpartition(".")[0]


def written_loops(recording: Recording) -> Iterator[tuple[Site, str]]:
    """Yield the first call and the square matrix of every recurrence written by hand.

    Args:
        recording: One look at the network.
    """
    shapes = {p.name: p.shape for p in recording.parameters if p.requires_grad}
    told: set[str] = set()
    for run in recurrences(recording):
        for name in run[0].weights:
            shape = shapes.get(name, ())
            square = len(shape) == 2 and shape[0] == shape[1]
            if square and name not in told and not _is_of_torch(run[0]):
                told.add(name)
                yield run[0], name


def function_behind(recording: Recording, site: Site) -> str:
    """Return the activation that a recurrence written by hand ends its step with.

    Args:
        recording: One look at the network.
        site: The call of the recurrent matrix.
    """
    wiring = Wiring(recording)
    for _ in range(8):
        after = wiring.consumers(site)
        named = next((activation_name(one) for one in after if activation_name(one)), "")
        if named or not after or after[0].op not in _THROUGH:
            return named
        site = after[0]
    return ""


def _beside(bias_ih: str) -> str:
    stem, _, leaf = bias_ih.rpartition("bias_ih")
    return f"{stem}bias_hh{leaf}"


def _is_of_torch(site: Site) -> bool:
    return site.function.removesuffix("_cell") in _GATES


def _suffixes(module: nn.Module) -> tuple[str, ...]:
    if not isinstance(module, nn.RNNBase):
        return ("",)
    ends = ("", "_reverse") if module.bidirectional else ("",)
    return tuple(f"_l{layer}{end}" for layer in range(module.num_layers) for end in ends)


def _name(names: set[str], path: str, leaf: str) -> str:
    """Return the name of a parameter, or of the first that a parametrised one is made of."""
    stem = f"{path}." if path else ""
    if f"{stem}{leaf}" in names:
        return f"{stem}{leaf}"
    start = f"{stem}parametrizations.{leaf}."
    return min((name for name in names if name.startswith(start)), default="")


def _steps(recording: Recording) -> dict[str, int]:
    """Return the longest run of every recurrent matrix."""
    found: dict[str, int] = {}
    for run in recurrences(recording):
        for name in run[0].weights:
            found[name] = max(found.get(name, 0), len(run))
    calls: dict[str, int] = {}
    for site in recording.signal_sites():
        if _is_of_torch(site):
            for name in site.weights:
                calls[name] = calls.get(name, 0) + 1
    return {**calls, **found}
