"""LSTM cell: a plain recurrent layer becomes an LSTM behind the same interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.observe.batch import call_model, tensors_in
from unvanish.observe.copies import copied
from unvanish.observe.guard import untouched
from unvanish.treat.plain_cells import MEMORY_BIAS, exchange, gated, plain_cells
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.recurrent import memory_bias
from unvanish.treat.single_state import SingleStateLSTM, SingleStateLSTMCell
from unvanish.treat.surgery import Surgery


@final
@dataclass(frozen=True, kw_only=True)
class LstmCell:
    r"""Exchange a plain recurrent layer for an LSTM, whose memory is added to and not multiplied.

    ## When to use
    An `nn.RNN` or `nn.RNNCell` over more than some ten steps, as for gated-cell. An LSTM keeps
    its memory apart from what it shows, so that a gate can hold back what is remembered.

    ## What it changes
    `nn.RNN` and `nn.RNNCell` become an LSTM with the same layers, directions, dropout and layout.
    The old weights and biases become those of the candidate; those of the three gates are new,
    with the forget gate biased towards keeping.

    An LSTM hands on a pair and the code around it carries one tensor. So the layer still takes
    and returns one, with the cell state as an attribute of it that comes back with it, also where
    the state is detached between sequences. A state that it did not make itself, as a decoder
    gets it from an encoder, is where the cell state begins, too.

    ## What it costs
    Four times the parameters and the time of the layer. A state dict of the old network no
    longer loads, and a ReLU layer gets tanh.

    ## Settings
    `memory_bias`: the least of 1, 2 and 3 with which the state outlasts the T steps of the
    batch, as forget-bias has it.

    ## Where we differ
    The paper has no forget gate, and no bias for it; Gers and others brought the one, Jozefowicz
    and others the other. A network that computes with the state between two steps (a mask,
    dropout, a stack over several) loses the cell state there; it is tried on a copy, and refused.

    ## Composes with
    chrono and orthogonal-recurrence, which are made after it. Not with gated-cell, which puts a
    GRU in the same place, nor with forget-bias, which is part of it.

    ## Evidence
    A gradient that enters at the last of 101 steps, 64 units, three seeds, random inputs: on its
    way to the first step it loses 20 to 26 decades in `nn.RNN` and 1.4 to 1.7 in what takes its
    place. The first of 60 tokens, 32 units, 500 steps of Adam at 3e-3, two seeds: 63 % and 68 %
    are recalled, 12 % and 13 % of the 8 tokens without, and all of them with gated-cell.

    ## Source
    Hochreiter and Schmidhuber (1997); Gers, Schmidhuber and Cummins (2000) for the forget gate.
    """

    name: ClassVar[str] = "lstm-cell"
    treats: ClassVar[frozenset[str]] = frozenset({"UV301"})
    change: ClassVar[Change] = Change.PATH
    keeps: ClassVar[frozenset[Keeps]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["hochreiter1997"], SOURCES["gers2000"])
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset({"gated-cell", "forget-bias"})

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks with an `nn.RNN` or `nn.RNNCell` whose state comes back as it went."""
        plain = plain_cells(case)
        if isinstance(plain, NotApplicable):
            return plain
        lost = _where_the_memory_is_lost(case, tuple(plain))
        if lost:
            return NotApplicable(
                f"{lost} gets back another state than it gave, and its cell state could not come "
                "along: gated-cell has one state alone"
            )
        steps = max(cell.steps for cell in plain.values())
        return Prescription(
            remedy=self.name,
            why=f"{len(plain)} plain recurrent layers run over {steps} steps",
            change=self.change,
            keeps=self.keeps,
            settings={MEMORY_BIAS: memory_bias(steps)},
            places=tuple(plain),
            cost="four times the parameters of these layers, and their state-dict shapes",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put an LSTM in the place of each."""
        exchange(patient, prescription, layer=SingleStateLSTM, cell=SingleStateLSTMCell)


def _where_the_memory_is_lost(case: Case, paths: Sequence[str]) -> str:
    """Name a layer that gets back a state computed from its own, whose cell state stayed behind."""
    twin = copied(case.model)
    surgery = Surgery(twin)
    watches: dict[str, _Watch] = {}
    for path in paths:
        old = twin.get_submodule(path)
        new = gated(old, layer=SingleStateLSTM, cell=SingleStateLSTMCell)
        for parameter in new.parameters():
            parameter.requires_grad_()
        surgery.replace(path, new)
        watches[path] = _Watch(new)
    with untouched(twin, seed=case.recording.context.seed), torch.enable_grad():
        try:
            call_model(twin, case.batch.inputs)
        finally:
            for watch in watches.values():
                watch.remove()
    return next((path for path, watch in watches.items() if watch.loses), "")


class _Watch:
    """Watches which states a layer gets back.

    Attributes:
        loses: Whether one of them is computed from a state of the layer's and is another tensor.
    """

    def __init__(self, module: nn.Module) -> None:
        self.loses = False
        self._made: set[Any] = set()
        self._removes: list[Callable[[], None]] = [
            module.register_forward_pre_hook(self._enter, with_kwargs=True).remove,
            module.register_forward_hook(self._leave).remove,
        ]

    def remove(self) -> None:
        """Watch no longer."""
        for remove in self._removes:
            remove()

    def _enter(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        state = args[1] if len(args) > 1 else kwargs.get("hx")
        if not self._made or not isinstance(state, Tensor) or module.cell_states.knows(state):
            return
        if state.grad_fn is None:
            # A start of its own, such as zeros; another one may have been detached and changed.
            self.loses |= not isinstance(state, nn.Parameter) and bool(state.any())
        else:
            self.loses |= self._comes_from_here(state)

    def _leave(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:  # noqa: ARG002
        tensors = (output,) if isinstance(output, Tensor) else tensors_in(output)
        self._made.update(one.grad_fn for one in tensors if one.grad_fn is not None)

    def _comes_from_here(self, state: Tensor) -> bool:
        waiting, seen = [state.grad_fn], set[Any]()
        while waiting:
            node = waiting.pop(0)
            if node in self._made:
                return True
            if node is not None and node not in seen:
                seen.add(node)
                waiting.extend(before for before, _ in node.next_functions)
        return False
