"""LayerNorm within recurrent layers: what each gate sums up is standardised at every step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, final

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized
from torch.nn.utils.rnn import PackedSequence

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.observe.batch import call_model
from unvanish.observe.guard import untouched
from unvanish.theory.activations import activation
from unvanish.theory.mean_field import second_moment, slope_moment
from unvanish.treat.interception import is_shadowed
from unvanish.treat.normalised_recurrence import KINDS, normalised
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.recurrent import cells_of

_INPUT_GAINS: Final = (1.0, 0.5, 0.3, 0.2, 0.1)
_LEFT: Final = 0.1
"""What is to be left of a gradient that has come back over all steps, as theory has it."""


@final
@dataclass(frozen=True, kw_only=True)
class RecurrentLayerNorm:
    r"""Standardise what each gate of a recurrent layer sums up, at every time step (LayerNorm).

    ## When to use
    A recurrence whose inputs drive tanh and gates into saturation, or whose matrix makes the
    gradient grow; in a GRU or LSTM beside forget-bias. In a plain cell that forgets, gated-cell
    and orthogonal-recurrence do more.

    ## What it changes
    `nn.RNN`, `nn.GRU`, `nn.LSTM` and their cells become layers of `unvanish` that are called the
    same way, hold the same parameters by the same names, and standardise W_ih x and W_hh h, each
    over the units of each gate, before the biases are added. An LSTM's cell is standardised where
    it is shown, not where it is kept. Of an input the direction is heard and not the size; a layer
    that reads one number a step is left alone, and so is one that is given packed sequences.

    ## What it costs
    A gain for each row of the two matrices; in an LSTM gain and shift of the cell. The steps run in
    Python, not in one kernel. The network's function changes.

    ## Settings
    For each layer what its gates hear of the input, where they hear 1 of the state: 1 in an LSTM,
    whose cell carries. Otherwise the largest of 1, 0.5, 0.3, 0.2 and 0.1 with which theory leaves a
    tenth of a gradient over all steps: the factor of a step is sqrt(E phi'^2 / E phi^2), at a
    variance of 1 + gain^2.

    ## Where we differ
    The paper standardises the four gates of an LSTM as one vector, and the sum of both parts in a
    plain cell. There loud inputs still drown the state; here they cannot. It has no smaller gain
    for the input.

    ## Composes with
    orthogonal-recurrence, forget-bias and chrono, made before it, whose values it takes over. Not
    with gated-cell, lstm-cell and truncated-sequences, which put another layer in the same place.

    ## Evidence
    `python -m benchmarks.recurrent_norms`. A gradient that enters at the last of 101 steps, 64
    units and inputs, three seeds: on its way to the first it loses 34 to 35 decades in `nn.RNN`, 39
    to 40 with ReLU, 20 to 21 in a GRU and 22 in an LSTM. Afterwards it loses 0.7 at the most, with
    ReLU 1.7; in an LSTM it gains 2 to 3, with ReLU up to 3. With inputs of 30, where `nn.RNN` left
    none of it, the same comes after.

    That a gradient arrives is not that something is learnt. The first of 60 tokens, 32 units, 500
    steps of Adam at 3e-3, two seeds, share of 8 tokens recalled, untreated and treated: `nn.RNN`
    .13 .10 and .14 1.00, GRU .15 .11 and .73 .25, LSTM .15 .12 and .14 .10. With forget-bias beside
    it 1.00 1.00 in a GRU (.87 .89 with forget-bias alone), .90 1.00 in an LSTM (.45 .64).

    Digits read pixel by pixel, 48 units, held out: `nn.RNN` .70 .69 untreated and .63 .64 treated:
    it does harm there, and orthogonal-recurrence has .83 .87. GRU .73 .77 and .81 .74, with
    forget-bias .88 .87 (.77 .85 alone); LSTM .74 .74 and .72 .79, with forget-bias .89 .84 (.63
    .74). With inputs of 30 it helps most: `nn.RNN` .43 .37 and .59 .54, GRU .61 .56 and .78 .81,
    LSTM .73 .69 and .75 .70.

    ## Source
    Ba, Kiros and Hinton (2016), section 3.1 and the supplement.
    """

    name: ClassVar[str] = "recurrent-layer-norm"
    treats: ClassVar[frozenset[str]] = frozenset({"UV301", "UV102", "UV201"})
    change: ClassVar[Change] = Change.PATH
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["ba2016"],)
    after: ClassVar[frozenset[str]] = frozenset({"orthogonal-recurrence", "forget-bias", "chrono"})
    excludes: ClassVar[frozenset[str]] = frozenset(
        {"gated-cell", "lstm-cell", "truncated-sequences"}
    )

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks with a recurrent layer or cell of `torch.nn` below their root."""
        if case.recording.truncations and self.name not in case.asked:
            return NotApplicable("the state comes without its gradient, which no norm brings back")
        kinds: dict[str, str] = {}
        steps: dict[str, int] = {}
        for cell in cells_of(case):
            kinds[cell.path] = cell.kind
            steps[cell.path] = max(cell.steps, steps.get(cell.path, 1))
        if not kinds:
            return NotApplicable("no recurrent layer or cell of torch.nn runs in it")
        refused = {path: _refusal(case.model, path) for path in kinds}
        fit = [path for path, reason in refused.items() if not reason]
        packed = _packed(case, fit)
        refused |= dict.fromkeys(packed, "it is given packed sequences: pass the padded ones")
        fit = [path for path in fit if path not in packed]
        if not fit:
            path, reason = next(iter(refused.items()))
            return NotApplicable(f"{path or 'the network'}: {reason}")
        return Prescription(
            remedy=self.name,
            why=f"{len(fit)} recurrent layers sum up inputs and states unnormalised",
            change=self.change,
            keeps=self.keeps,
            settings={path: input_gain(kinds[path], steps[path]) for path in fit},
            places=tuple(fit),
            cost="a few parameters a unit; the steps of these layers run in Python",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put the standardised form of each in its place."""
        for path in prescription.places:
            gain = float(prescription.settings[path])
            patient.surgery.replace(path, normalised(patient.model.get_submodule(path), gain))


def input_gain(kind: str, steps: int) -> float:
    """Return what the gates of a standardised layer may hear of the input, beside 1 of the state.

    Args:
        kind: ``"lstm"``, ``"gru"``, ``"rnn_tanh"`` or ``"rnn_relu"``.
        steps: Time steps in one pass.

    Example:
        >>> input_gain("rnn_tanh", 10), input_gain("rnn_tanh", 100), input_gain("lstm", 100)
        (1.0, 0.5, 1.0)
    """
    if kind == "lstm":
        return 1.0
    phi = activation("relu" if kind == "rnn_relu" else "tanh")
    for gain in _INPUT_GAINS:
        variance = 1.0 + gain**2
        factor = slope_moment(phi, variance) / second_moment(phi, variance)
        if factor ** (steps / 2) >= _LEFT:
            return gain
    return _INPUT_GAINS[-1]


def _refusal(model: nn.Module, path: str) -> str:
    """Say why a recurrent layer cannot be standardised; empty where it can."""
    if not path:
        return "it is the recurrent layer itself; put it into a module"
    module = model.get_submodule(path)
    if is_parametrized(module):
        return "its weights are parametrised"
    if type(module) not in KINDS or is_shadowed(module):
        return f"{type(module).__name__} has a forward of its own"
    if module.input_size == 1:
        return "it reads one number a step, and would hear nothing of it but the sign"
    if getattr(module, "proj_size", 0):
        return "its state is projected (proj_size), and has another width than its gates"
    leaves = [leaf for leaf, _ in module.named_parameters()]
    if any(leaf.endswith(("_g", "_v", "_orig")) for leaf in leaves):
        return "its weights are computed from others"
    return ""


def _packed(case: Case, paths: Iterable[str]) -> frozenset[str]:
    """Return those of some layers that are given packed sequences."""
    modules: Mapping[str, nn.Module] = {path: case.model.get_submodule(path) for path in paths}
    found: set[str] = set()

    def watch(path: str) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
        def enter(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if any(isinstance(one, PackedSequence) for one in (*args, *kwargs.values())):
                found.add(path)

        return enter

    removes = [
        module.register_forward_pre_hook(watch(path), with_kwargs=True).remove
        for path, module in modules.items()
    ]
    try:
        if removes:
            with untouched(case.model, seed=case.recording.context.seed), torch.no_grad():
                call_model(case.model, case.batch.inputs)
    finally:
        for remove in removes:
            remove()
    return frozenset(found)
