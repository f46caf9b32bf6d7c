"""How a recurrence runs over time: who calls it how often, and how its gradient changes a step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Site
from unvanish.core.wiring import Wiring
from unvanish.diagnose.time_loops import recurrences
from unvanish.observe.batch import call_model
from unvanish.observe.guard import untouched
from unvanish.treat.protocol import Case
from unvanish.treat.recurrent import cells_of, written_loops

_LAYERS: Final = (nn.RNN, nn.LSTM, nn.GRU)
_CELLS: Final = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)


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
    lengths = _lengths(case, [*kinds, *by_hand])
    found = [_of_torch(case, path, kind, lengths[path], runs) for path, kind in kinds.items()]
    for path, run in by_hand.items():
        found.append(
            Recurrence(
                path=path,
                function="",
                steps=len(run),
                decades=_change(case.recording, run),
                refusal=_round_the_matrix(wiring, run, len(lengths[path])),
            )
        )
    return tuple(found)


def _of_torch(
    case: Case,
    path: str,
    kind: str,
    lengths: Sequence[int],
    runs: Mapping[str, tuple[Site, ...]],
) -> Recurrence:
    module = case.model.get_submodule(path)
    own = [cell.weight for cell in cells_of(case) if cell.path == path]
    changes = [_change(case.recording, runs[name]) for name in own if name in runs]
    known = [change for change in changes if not math.isnan(change)]
    is_cell = isinstance(module, _CELLS)
    in_turns = is_cell or (len(lengths) > 1 and max(lengths) == 1)
    return Recurrence(
        path=path,
        function=f"{kind}_cell" if is_cell else kind if in_turns else "",
        steps=len(lengths) if in_turns else max(lengths, default=0),
        decades=max(known, key=abs, default=math.nan),
        refusal=_why_not(module, lengths, in_turns=in_turns),
    )


def _why_not(module: nn.Module, lengths: Sequence[int], *, in_turns: bool) -> str:
    if type(module) not in (*_LAYERS, *_CELLS):
        return f"{type(module).__name__} has a forward of its own"
    if isinstance(module, nn.RNNBase) and module.bidirectional:
        return "it reads in both directions, and each step hears the whole sequence"
    if not in_turns and len(lengths) > 1:
        return (
            f"it is called {len(lengths)} times, on up to {max(lengths)} steps: detach the state "
            "between those calls"
        )
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


def _lengths(case: Case, paths: Sequence[str]) -> dict[str, list[int]]:
    """Run a network once and return how many steps each call of some modules got."""
    found: dict[str, list[int]] = {path: [] for path in paths}
    hooks = []
    for path in paths:

        def note(
            module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], path: str = path
        ) -> None:
            found[path].append(_steps(module, args[0] if args else next(iter(kwargs.values()))))

        hooks.append(
            case.model.get_submodule(path).register_forward_pre_hook(note, with_kwargs=True)
        )
    try:
        with untouched(case.model, seed=case.recording.context.seed), torch.no_grad():
            call_model(case.model, case.batch.inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _steps(module: nn.Module, signal: Any) -> int:
    if not isinstance(module, nn.RNNBase):
        return 1
    if isinstance(signal, PackedSequence):
        return len(signal.batch_sizes)
    assert isinstance(signal, Tensor)
    return int(signal.shape[1 if module.batch_first and signal.dim() > 2 else 0])
