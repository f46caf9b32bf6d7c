"""From a treatment to a patch: edit the files, run them anew, compare with what was tested."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from torch import nn

from unvanish.core.errors import UnvanishError
from unvanish.core.patches import FileEdit, Patch, Safety
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.observe.optimizer import OptimizerLike
from unvanish.recipe import Recipe
from unvanish.treat.anatomy import anatomy_of
from unvanish.treat.patch.comparing import differences
from unvanish.treat.patch.labelling import label
from unvanish.treat.patch.overlay import overlaid
from unvanish.treat.patch.rewriters import REWRITERS
from unvanish.treat.patch.rewriters.optimiser import RATES, multiply_rate
from unvanish.treat.patch.sharing import shared
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work
from unvanish.treat.treatment import Treated

_log = logging.getLogger(__name__)


def patch(
    treated: Treated,
    reload: Callable[[], Recipe] | None,
    *,
    optimizer: OptimizerLike = None,
    rate_factor: float = 1.0,
) -> Patch:
    """Write a treatment into the files that the network comes from, without touching them.

    Args:
        treated: What was done, with the look that each remedy was applied after.
        reload: Loads the recipe anew, under edited files; None to leave the result untried.
        optimizer: What makes the optimiser, to find it in the source.
        rate_factor: What the learning rates of all groups are multiplied by, after the treatment.

    Returns:
        The edited files, and whether they give the network that was tested; or a snippet and
        why the source is not edited.
    """
    names = tuple(one.remedy for one in treated.prescriptions)
    safety = safety_of(treated.prescriptions)
    sources: dict[str, Source] = {}
    try:
        done = list(zip(treated.prescriptions, treated.receipts, treated.looks, strict=False))
        works = [
            Work(
                prescription=one,
                receipt=receipt,
                recording=recording,
                anatomy=anatomy_of(recording),
                first=anatomy_of(treated.looks[0]),
                model=treated.model,
                sources=sources,
                optimizer=optimizer,
                rate_factor=rate_factor,
            )
            for one, receipt, recording in done or [(_RATE, treated.receipts[0], treated.looks[0])]
        ]
        for work in works if done else ():
            if work.prescription.remedy not in REWRITERS:
                raise NoSafeEditError(
                    f"{work.prescription.remedy} needs code of unvanish in the network"
                )
            _rewrite(work)
        if rate_factor != 1.0 and RATES.isdisjoint(names):
            multiply_rate(works[0], rate_factor)
        files = {s.path: s.edit() for s in sources.values() if s.is_changed}
        if not files:
            raise NoSafeEditError("nothing was found to edit")
    except NoSafeEditError as error:
        return Patch(
            remedies=names,
            safety=safety,
            snippet=snippet(names, treated, rate_factor=rate_factor),
            unsafe=_unseen(treated.model) or str(error),
        )
    if reload is None:
        return Patch(remedies=names, safety=safety, files=tuple(files.values()))
    differs, fresh = _tried(files, treated, reload, rate_factor)
    if differs or fresh is None:
        said = f"the edited source does not give the network that was tested: {differs}"
        return Patch(
            remedies=names,
            safety=safety,
            snippet=snippet(names, treated, rate_factor=rate_factor),
            unsafe=said,
        )
    safety, notes = _judged(safety, treated, reload, fresh, sources.values())
    return Patch(
        remedies=names, safety=safety, files=tuple(files.values()), agrees=True, notes=notes
    )


def _rewrite(work: Work) -> None:
    """Write one remedy.

    Raises:
        NoSafeEditError: If it cannot be written safely, or what should have written it met source
            that it was not made for: the user then gets a snippet.
    """
    try:
        REWRITERS[work.prescription.remedy](work)
    except (NoSafeEditError, UnvanishError):
        raise
    except Exception as error:
        _log.debug("%s could not be written", work.prescription.remedy, exc_info=True)
        said = f"writing {work.prescription.remedy} failed: {type(error).__name__}: {error}"
        raise NoSafeEditError(said.rstrip(": ")) from error


_RATE: Final = Prescription(
    remedy="learning-rate",
    why="another learning rate is all that is changed",
    change=Change.OPTIMISER,
)
"""What stands for a treatment without a remedy, of the learning rate alone."""

_DESIGN: Final = frozenset(
    {Change.INITIALISATION, Change.GRAPH, Change.ACTIVATION, Change.NORMALISATION, Change.PATH}
)
"""Kinds of change that are written into the code of layers."""

_NEW_LOSS: Final = frozenset({Change.LOSS, Change.PRECISION})
"""Kinds of change after which another loss may be minimised."""


def safety_of(prescriptions: Sequence[Prescription]) -> Safety:
    """Return what a treatment asks of a network that was trained."""
    if not prescriptions:
        return Safety.SAFE
    kept = frozenset.intersection(*(one.keeps for one in prescriptions))
    if Keeps.FUNCTION in kept:
        return Safety.SAFE
    if Keeps.WEIGHTS in kept and Keeps.STATE_NAMES in kept:
        return Safety.CHANGES_FUNCTION
    return Safety.RETRAIN


def snippet(
    names: Sequence[str], treated: Treated | None = None, *, rate_factor: float = 1.0
) -> str:
    """Return lines that treat the network where it is built.

    Args:
        names: The remedies.
        treated: What came of them: lines for its loss and its number format are added.
        rate_factor: What the learning rates are multiplied by.
    """
    if not names:
        return f'for group in optimizer.param_groups:\n    group["lr"] *= {rate_factor:.3g}\n'
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
    rates = ""
    if rate_factor != 1.0:
        rates = f'for group in optimizer.param_groups:\n    group["lr"] *= {rate_factor:.3g}\n'
    return (
        "import unvanish\n\n"
        f"treated = unvanish.treat(model, {asked}, (inputs, target), loss, {known})\n"
        f"{', '.join(took)} = {', '.join(gave)}\n{rates}{autocast}"
    )


def _unseen(model: nn.Module) -> str:
    """Say which class of a network stands in no file; empty where each one does."""
    for module in model.modules():
        code = getattr(getattr(type(module), "forward", None), "__code__", None)
        if code is not None and not Path(code.co_filename).exists():
            return f"source not found: {type(module).__name__} was made by code of no file"
    return ""


def _judged(
    promised: Safety,
    treated: Treated,
    reload: Callable[[], Recipe],
    fresh: Recipe,
    sources: Iterable[Source],
) -> tuple[Safety, tuple[str, ...]]:
    """Return the label of an edit, and what to say of checkpoints and of code that is shared."""
    look = treated.looks[0]
    try:
        before = reload()
    except Exception:  # a source that gives a network only once
        kept = {name for name, _ in fresh.model.named_parameters()}
        is_whole = {parameter.name for parameter in look.parameters} <= kept
        return promised if is_whole else Safety.RETRAIN, ()
    safety, notes = label(promised, before, fresh)
    if any(one.change in _DESIGN for one in treated.prescriptions):
        notes = (*notes, *shared(sources, before, look))
    return safety, notes


def _tried(
    files: dict[Path, FileEdit],
    treated: Treated,
    reload: Callable[[], Recipe],
    rate_factor: float,
) -> tuple[str, Recipe | None]:
    """Run the edited files; say in what their network differs from the treated one."""
    try:
        with overlaid({path: edit.after for path, edit in files.items()}):
            fresh = reload()
            with fresh.running():
                differs = differences(treated, fresh, rate_factor=rate_factor)
        return differs, fresh
    except UnvanishError as error:
        return error.what, None
    except Exception as error:
        return f"{type(error).__name__}: {error}", None
