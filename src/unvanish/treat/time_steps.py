"""How a recurrence runs over time: who calls it how often, and how its gradient changes a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Site
from unvanish.core.wiring import Wiring
from unvanish.diagnose.time_loops import recurrences
from unvanish.observe.batch import call_model, tensors_in
from unvanish.observe.guard import untouched
from unvanish.treat.protocol import Case
from unvanish.treat.recurrent import cells_of, written_loops

_LAYERS: Final = (nn.RNN, nn.LSTM, nn.GRU)
_CELLS: Final = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)
_LOOKED_AT: Final = 2
"""Call whose state is followed back to the one before; the first that two others precede."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """One recurrent module of a network.

    Attributes:
        path: Its path.
        function: The torch function of one step whose second argument is the state; empty for a
            layer that runs the steps itself, and for a linear layer, whose first argument it is.
        steps: Time steps in a forward pass.
        decades: Change of the gradient on its way back over one step; positive where it grows.
            ``nan`` where it was not measured.
        refusal: Why its state cannot be cut; empty where it can.
    """

    path: str
    function: str
    steps: int
    decades: float
    refusal: str = ""


def recurrences_of(case: Case) -> tuple[Recurrence, ...]:
    """Return the recurrent layers, cells and loops by hand of a network.

    Args:
        case: The network.
    """
    wiring = Wiring(case.recording)
    runs = {name: run for run in recurrences(case.recording) for name in run[0].weights}
    kinds = {cell.path: cell.kind for cell in cells_of(case)}
    by_hand = {
        site.path: runs[name]
        for site, name in written_loops(case.recording)
        if isinstance(case.model.get_submodule(site.path), nn.Linear)
    }
    seen = _watched(case, [*kinds, *by_hand])
    found = [_of_torch(case, path, kind, seen[path], runs) for path, kind in kinds.items()]
    for path, run in by_hand.items():
        found.append(
            Recurrence(
                path=path,
                function="",
                steps=len(run),
                decades=_change(case.recording, run),
                refusal=_round_the_matrix(wiring, run, len(seen[path].lengths)),
            )
        )
    return tuple(found)


def _of_torch(
    case: Case,
    path: str,
    kind: str,
    seen: _Watch,
    runs: Mapping[str, tuple[Site, ...]],
) -> Recurrence:
    module = case.model.get_submodule(path)
    own = [cell.weight for cell in cells_of(case) if cell.path == path]
    changes = [_change(case.recording, runs[name]) for name in own if name in runs]
    known = [change for change in changes if not math.isnan(change)]
    is_cell, lengths = isinstance(module, _CELLS), seen.lengths
    in_turns = is_cell or (len(lengths) > 1 and max(lengths) == 1)
    return Recurrence(
        path=path,
        function=f"{kind}_cell" if is_cell else kind if in_turns else "",
        steps=len(lengths) if in_turns else max(lengths, default=0),
        decades=max(known, key=abs, default=math.nan),
        refusal=_why_not(module, seen, in_turns=in_turns),
    )


def _why_not(module: nn.Module, seen: _Watch, *, in_turns: bool) -> str:
    if type(module) not in (*_LAYERS, *_CELLS):
        return f"{type(module).__name__} is none of the layers of torch.nn themselves"
    if isinstance(module, nn.RNNBase) and module.bidirectional:
        return "it reads in both directions, and each step hears the whole sequence"
    if not in_turns and seen.carried:
        return (
            f"it is called {len(seen.lengths)} times, on up to {max(seen.lengths)} steps: detach "
            "the state between those calls"
        )
    if in_turns and seen.goes_round:
        return "its state goes round it from step to step, as a mask leads it"
    return ""


def _round_the_matrix(wiring: Wiring, run: Sequence[Site], calls: int) -> str:
    """Say why a cut before the recurrent matrix would not cut the state; empty where it does."""
    if calls != len(run):
        return "its matrix is used outside of the loop, too"
    middle = len(run) // 2
    before, after = run[middle - 1], run[middle]
    state = {site.index for site in wiring.producers(before)}
    round_it = state & {site.index for site in wiring.behind(after, past=before)}
    return "its state goes round the matrix, through another one or a gate" if round_it else ""


def _change(recording: Recording, run: Sequence[Site]) -> float:
    """Return by how many decades a gradient from the last step changes over one step back."""
    profile = recording[Quantity.LOG10_LAST_STEP_GRAD_RMS]
    known = [
        (number, profile[site])
        for number, site in enumerate(run)
        if number and site in profile and math.isfinite(profile[site])
    ]
    if len(known) < 2:
        return math.nan
    (first, early), (last, late) = known[0], known[-1]
    return (early - late) / (last - first)


class _Watch:
    """Watches what a module gets and gives in a forward pass with gradients.

    Attributes:
        lengths: Time steps of each call.
        carried: Whether a later call got a state with a gradient.
        goes_round: Whether the state of some call is computed from the one before it and not from
            what that call made of it alone.
    """

    def __init__(self, module: nn.Module) -> None:
        self.lengths: list[int] = []
        self.carried = self.goes_round = False
        self._given: set[Any] = set()
        self._made: set[Any] = set()
        self._removes: list[Callable[[], None]] = [
            module.register_forward_pre_hook(self._enter, with_kwargs=True).remove,
            module.register_forward_hook(self._leave).remove,
        ]

    def remove(self) -> None:
        """Watch no longer."""
        for remove in self._removes:
            remove()

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        signal, *more = (*args, *kwargs.values())
        nodes = {one.grad_fn for one in tensors_in(more) if one.grad_fn is not None}
        self.carried |= bool(nodes) and bool(self.lengths)
        if len(self.lengths) == _LOOKED_AT:
            self.goes_round = _reach(nodes, self._given, past=self._made)
        self.lengths.append(_steps(module, signal))
        self._given = nodes

    def _leave(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:  # noqa: ARG002
        self._made = {one.grad_fn for one in tensors_in(output) if one.grad_fn is not None}


def _watched(case: Case, paths: Sequence[str]) -> dict[str, _Watch]:
    """Run a network once and return what each of some modules got and gave."""
    found = {path: _Watch(case.model.get_submodule(path)) for path in paths}
    try:
        with untouched(case.model, seed=case.recording.context.seed), torch.enable_grad():
            call_model(case.model, case.batch.inputs)
    finally:
        for watch in found.values():
            watch.remove()
    return found


def _reach(starts: set[Any], ends: set[Any], *, past: set[Any]) -> bool:
    """Tell whether some nodes depend on others on a way that does not lead past third ones."""
    waiting, seen = list(starts - past), starts | past
    while waiting:
        node = waiting.pop()
        if node in ends:
            return True
        before = {one for one, _ in node.next_functions if one is not None} - seen
        seen |= before
        waiting.extend(before)
    return False


def _steps(module: nn.Module, signal: Any) -> int:
    if not isinstance(module, nn.RNNBase):
        return 1
    if isinstance(signal, PackedSequence):
        return len(signal.batch_sizes)
    assert isinstance(signal, Tensor)
    return int(signal.shape[1 if module.batch_first and signal.dim() > 2 else 0])
