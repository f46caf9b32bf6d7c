"""What may be added to a treatment that does not suffice: networks may have several defects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any

from torch import nn

from unvanish.core.conditions import RunContext
from unvanish.core.errors import UnvanishError
from unvanish.core.places import SourceLine
from unvanish.core.prescriptions import Advice, Outlook, Prescription
from unvanish.diagnose import diagnose
from unvanish.observe.optimizer import OptimizerLike, build_optimizer
from unvanish.treat.choosing import ails, fitting, keeps_design
from unvanish.treat.protocol import Case, Remedy
from unvanish.treat.ranking import order_of
from unvanish.treat.registry import remedies, remedy_of
from unvanish.treat.treatment import case_of, treat
from unvanish.treat.trying import Looker

__all__ = ["prescribe_further"]


def prescribe_further(
    model: nn.Module,
    base: Sequence[str],
    batch: Any,
    loss: Callable[..., Any] | str | None = None,
    *,
    optimizer: OptimizerLike = None,
    context: RunContext,
    names: Iterable[str] = (),
    otherwise: Iterable[str] = (),
    keep_architecture: bool = False,
    seed: int = 0,
    built: Mapping[nn.Module, SourceLine] | None = None,
) -> Advice:
    """Try what may be added to some remedies on a copy of a network that was given them.

    One defect may hide another: what the second remedy has to cure is looked for in the network
    as the first has left it. Nothing is trained, and the network stays as it is.

    Args:
        model: The network as it is.
        base: Names of the remedies that it is given first.
        batch: As in `unvanish.treat.prescribing.prescribe`.
        loss: As there.
        optimizer: As there.
        context: Under what the network was looked at.
        names: Remedies that are tried even where they treat nothing that is found.
        otherwise: Further ones that are tried where nothing is found any more.
        keep_architecture: Whether remedies that change activations, normalisation or paths are
            left out.
        seed: Seed of every look.
        built: Module to the line that built it, where known.

    Returns:
        What could be done, best first: each option is the base and one remedy more, and what it
        cures is said in comparison with the base alone. Nothing where the base cannot be given.
    """
    own = build_optimizer(optimizer, model) if optimizer is not None else None
    look = Looker(batch, loss, optimizer, model, 1, seed, built, context)
    try:
        look.at(model, loss)
        treated = treat(
            model,
            list(base),
            batch,
            loss,
            optimizer=own,
            seed=seed,
            autocast=context.autocast,
            clip_grad_norm=context.optimizer.clip_grad_norm if context.optimizer else None,
        )
        seen = look.at(treated.model, treated.loss, treated)
    except UnvanishError as error:
        failed = dict.fromkeys(base, error.what)
        return Advice(before=Outlook(), refused=failed, nothing=error.what)
    diagnosis = diagnose(seen)
    wanted = {*names, *(() if ails(diagnosis) else otherwise)}
    case = case_of(
        treated.model,
        batch,
        treated.loss,
        optimizer=treated.optimizer,
        recording=seen,
        diagnosis=diagnosis,
        asked=wanted,
    )
    before = look.outlook(seen, treated.model)
    added = _to_add(case, base, wanted, keep_architecture=keep_architecture)
    options = [look.option((*base, one.remedy), before) for one in added]
    options.sort(key=lambda option: order_of(option, case.codes))
    return Advice(before=before, options=tuple(options))


def _to_add(
    case: Case, base: Sequence[str], names: Set[str], *, keep_architecture: bool
) -> list[Prescription]:
    """Return what fits the network as the base has left it, and goes together with the base."""
    held = [remedy_of(name) for name in base]
    chosen = [
        remedy
        for remedy in remedies()
        if (remedy.name in names or remedy.treats & case.codes)
        and remedy.name not in base
        and all(_goes_with(remedy, one) for one in held)
    ]
    found, _ = fitting(chosen, case, wanted=True)
    return [one for one in found if not keep_architecture or keeps_design(one.change)]


def _goes_with(remedy: Remedy, other: Remedy) -> bool:
    return other.name not in remedy.excludes and remedy.name not in other.excludes
