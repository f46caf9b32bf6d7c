"""From a treatment to a patch: edit the files, run them anew, compare with what was tested."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from unvanish.core.errors import UnvanishError
from unvanish.core.patches import FileEdit, Patch, Safety
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Recording
from unvanish.observe.batch import as_batch, call_model, main_output
from unvanish.observe.copies import copied
from unvanish.observe.guard import seed_everything
from unvanish.observe.optimizer import OptimizerLike, build_optimizer
from unvanish.observe.tracing import trace
from unvanish.recipe import Recipe
from unvanish.treat.anatomy import anatomy_of
from unvanish.treat.patch.overlay import overlaid
from unvanish.treat.patch.rewriters import REWRITERS
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work
from unvanish.treat.treatment import Treated

_SURE: Final = 5.0
"""Standard deviations by which the rms of random weights may differ between two draws."""


def patch(
    treated: Treated,
    reload: Callable[[], Recipe] | None,
    *,
    optimizer: OptimizerLike = None,
) -> Patch:
    """Write a treatment into the files that the network comes from, without touching them.

    Args:
        treated: What was done, with the look that each remedy was applied after.
        reload: Loads the recipe anew, under edited files; None to leave the result untried.
        optimizer: What makes the optimiser, to find it in the source.

    Returns:
        The edited files, and whether they give the network that was tested; or a snippet and
        why the source is not edited.
    """
    names = tuple(one.remedy for one in treated.prescriptions)
    safety = safety_of(treated.prescriptions)
    sources: dict[str, Source] = {}
    try:
        for one, receipt, recording in zip(
            treated.prescriptions, treated.receipts, treated.looks, strict=True
        ):
            if one.remedy not in REWRITERS:
                raise NoSafeEditError(f"{one.remedy} needs code of unvanish in the network")
            REWRITERS[one.remedy](
                Work(
                    prescription=one,
                    receipt=receipt,
                    recording=recording,
                    anatomy=anatomy_of(recording),
                    model=treated.model,
                    sources=sources,
                    optimizer=optimizer,
                )
            )
        files = {s.path: s.edit() for s in sources.values() if s.is_changed}
        if not files:
            raise NoSafeEditError("nothing was found to edit")
    except NoSafeEditError as error:
        return Patch(
            remedies=names, safety=safety, snippet=snippet(names, treated), unsafe=str(error)
        )
    if reload is None:
        return Patch(remedies=names, safety=safety, files=tuple(files.values()))
    differs, fresh = _tried(files, treated, reload)
    if differs or fresh is None:
        said = f"the edited source does not give the network that was tested: {differs}"
        return Patch(remedies=names, safety=safety, snippet=snippet(names, treated), unsafe=said)
    if not _names(treated.looks[0]) <= {name for name, _ in fresh.model.named_parameters()}:
        safety = Safety.RETRAIN  # a layer that is wrapped has another name in the state dict
    return Patch(remedies=names, safety=safety, files=tuple(files.values()), agrees=True)


_NEW_LOSS: Final = frozenset({Change.LOSS, Change.PRECISION})
"""Kinds of change after which another loss may be minimised."""


def safety_of(prescriptions: Sequence[Prescription]) -> Safety:
    """Return what a treatment asks of a network that was trained."""
    kept = frozenset.intersection(*(one.keeps for one in prescriptions))
    if Keeps.FUNCTION in kept:
        return Safety.SAFE
    if Keeps.WEIGHTS in kept and Keeps.STATE_NAMES in kept:
        return Safety.CHANGES_FUNCTION
    return Safety.RETRAIN


def snippet(names: Sequence[str], treated: Treated | None = None) -> str:
    """Return lines that treat the network where it is built.

    Args:
        names: The remedies.
        treated: What came of them: lines for its loss and its number format are added.
    """
    quoted = [f'"{name}"' for name in names]
    asked = quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"
    known = "optimizer=optimizer"
    took, gave = ["model", "optimizer"], ["treated.model", "treated.optimizer"]
    autocast = ""
    if treated is not None:
        used = treated.looks[0].context.autocast if treated.looks else ""
        known += f', autocast="{used}"' if used else ""
        if any(one.change in _NEW_LOSS for one in treated.prescriptions):
            took, gave = [*took, "loss"], [*gave, "treated.loss"]
        if treated.autocast != used:
            autocast = (
                f"# train under torch.autocast(device_type, dtype=torch.{treated.autocast})\n"
            )
    return (
        "import unvanish\n\n"
        f"treated = unvanish.treat(model, {asked}, (inputs, target), loss, {known})\n"
        f"{', '.join(took)} = {', '.join(gave)}\n{autocast}"
    )


def _names(look: Recording) -> set[str]:
    return {parameter.name for parameter in look.parameters}


def _tried(
    files: dict[Path, FileEdit], treated: Treated, reload: Callable[[], Recipe]
) -> tuple[str, Recipe | None]:
    """Run the edited files; say in what their network differs from the treated one."""
    try:
        with overlaid({path: edit.after for path, edit in files.items()}):
            fresh = reload()
            with fresh.running():
                differs = _compared(treated.model, fresh) or _options_differ(treated, fresh)
        return differs, fresh
    except UnvanishError as error:
        return error.what, None
    except Exception as error:
        return f"{type(error).__name__}: {error}", None


def _compared(tested: nn.Module, fresh: Recipe) -> str:
    written = copied(fresh.model)
    looks = [
        trace(model, fresh.batch, fresh.loss, batches=1, probe_steps=0, seed=fresh.seed)
        for model in (tested, written)
    ]
    mine, theirs = (_in_order(look) for look in looks)
    if len(mine) != len(theirs):
        return f"it has {len(theirs)} parameters that are used, and not {len(mine)}"
    old, new = dict(tested.named_parameters()), dict(written.named_parameters())
    with torch.no_grad():
        for name, other in zip(mine, theirs, strict=True):
            if old[name].shape != new[other].shape:
                return f"{other} is {tuple(new[other].shape)}, and not {tuple(old[name].shape)}"
            if not _alike(old[name], new[other]):
                return f"{other} starts at another size than {name}"
            new[other].copy_(old[name])
    outputs = []
    for model in (tested, written):
        seed_everything(fresh.seed)
        with torch.no_grad():
            out = main_output(call_model(copied(model), as_batch(fresh.batch, model).inputs))
        outputs.append(out)
    if outputs[0] is None or outputs[1] is None or outputs[0].shape != outputs[1].shape:
        return "its outputs have another shape"
    if not torch.allclose(outputs[0], outputs[1], rtol=1e-3, atol=1e-5, equal_nan=True):
        return "with the same weights it computes something else"
    return ""


def _options_differ(treated: Treated, fresh: Recipe) -> str:
    """Say in which option the edited source's optimiser differs from the treated one."""
    tested = treated.optimizer
    if tested is None or fresh.optimizer is None:
        return ""
    written = build_optimizer(fresh.optimizer, fresh.model)
    if type(tested) is not type(written):
        return f"its optimiser is {type(written).__name__}, and not {type(tested).__name__}"
    for mine, other in zip(tested.param_groups, written.param_groups, strict=False):
        for name, value in mine.items():
            is_number = isinstance(value, int | float) and isinstance(other.get(name), int | float)
            if is_number and not math.isclose(value, other[name], rel_tol=0.01):
                return f"its optimiser has {name}={other[name]:g}, and not {value:g}"
    return ""


def _in_order(look: Recording) -> list[str]:
    """Return the parameters' names in the order of their first use."""
    used = [p for p in look.parameters if p.uses]
    ends = {p.name: (p.uses[0].site, p.name.rpartition(".")[2]) for p in used}
    return sorted(ends, key=lambda name: ends[name])


def _alike(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors can be draws of one distribution, by their size."""
    a, b = (float(t.detach().double().square().mean().sqrt()) for t in (one, other))
    allowed = _SURE * math.sqrt(1.0 / max(1, one.numel()))
    return abs(a - b) <= max(1e-6, allowed * max(a, b))
