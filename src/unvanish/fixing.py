"""From a target to an edit of its source: check, prescribe, treat, write, check again."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from unvanish.core.errors import UnvanishError
from unvanish.core.findings import Diagnosis
from unvanish.core.patches import Patch
from unvanish.core.prescriptions import Advice, Option, Receipt
from unvanish.core.records import Recording
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose import diagnose
from unvanish.recipe import Recipe, load
from unvanish.treat.looking import look_at
from unvanish.treat.operable import operable
from unvanish.treat.patch import patch as patch_of
from unvanish.treat.patch.files import write as write_files
from unvanish.treat.prescribing import CURED, prescribe
from unvanish.treat.registry import remedy_of
from unvanish.treat.treatment import Treated, case_of, treat

_MOST_TRIED: Final = 8


@dataclass(frozen=True, kw_only=True)
class Fix:
    """What `fix` found, chose and wrote.

    Attributes:
        target: What was looked at, as it was named.
        recording: The network as it was.
        diagnosis: What the rules said about it.
        advice: Everything that was tried on a copy.
        chosen: What is to be done; None where nothing is.
        receipts: What the chosen remedies changed in a copy.
        patch: The edit of the source; None where nothing is to be done.
        written: Files that were written.
        backups: Copies of the files as they were.
        after: What the rules say about the written files' network; None where none was written.
        warnings: What the user should know.
        learning_rate: Rate of the optimiser the network was treated with; ``nan`` where none is
            known.
        suggested_rate: What a range test on the treated copy suggests; ``nan`` where none could be
            made.
    """

    target: str
    recording: Recording
    diagnosis: Diagnosis
    advice: Advice
    chosen: Option | None = None
    receipts: tuple[Receipt, ...] = ()
    patch: Patch | None = None
    written: tuple[str, ...] = ()
    backups: tuple[str, ...] = ()
    after: Diagnosis | None = None
    warnings: tuple[str, ...] = ()
    learning_rate: float = math.nan
    suggested_rate: float = math.nan


def fix(
    target: str,
    *,
    remedy: Sequence[str] | str = (),
    write: bool = False,
    keep_architecture: bool = False,
    seed: int = 0,
    input_shape: Sequence[int] | None = None,
    classes: int | None = None,
    device: str | None = None,
) -> Fix:
    """Find what ails the network TARGET, choose a remedy, and edit its source.

    Args:
        target: ``file.py[:name]``, ``package.module[:name]`` or ``zoo:NAME``.
        remedy: Remedies to use, whether or not others promise more; empty to choose the least
            change that cures.
        write: Whether the files are written; a copy of each is kept beside it.
        keep_architecture: Whether remedies that change activations, normalisation or paths are
            left out.
        seed: Seed of everything random.
        input_shape: Shape of one sample, for a target without a batch.
        classes: Number of classes, for a target without a batch.
        device: Where to build the network.

    Returns:
        What was found, chosen and written.

    Raises:
        UnvanishError: If the target cannot be loaded, there is no such remedy, it does not fit,
            or a file cannot be written.
    """

    def reload() -> Recipe:
        return operable(
            load(target, seed=seed, input_shape=input_shape, classes=classes, device=device)
        )

    recipe = reload()
    names = (remedy,) if isinstance(remedy, str) else tuple(remedy)
    with recipe.running():
        recording = look_at(recipe)
        diagnosis = diagnose(recording)
        advice = prescribe(
            recipe.model,
            diagnosis,
            recipe.batch,
            recipe.loss,
            optimizer=recipe.optimizer,
            recording=recording,
            names=names or None,
            together=bool(names),
            keep_architecture="the architecture is to be kept" if keep_architecture else "",
            seed=seed,
            built=recipe.built,
            data=recipe.further,
        )
        known = Fix(target=target, recording=recording, diagnosis=diagnosis, advice=advice)
        candidates = _candidates(advice, forced=bool(names))
        if not candidates:
            if names:
                raise UnvanishError(advice.why_not(names))
            return known
        tried: list[tuple[Option, Treated, Patch]] = []
        for option in candidates:
            treated = treat(
                recipe.model,
                list(option.prescriptions),
                recipe.batch,
                recipe.loss,
                optimizer=recipe.optimizer,
                recording=recording,
                built=recipe.built,
                validate=False,
                seed=seed,
            )
            tried.append((option, treated, patch_of(treated, reload, optimizer=recipe.optimizer)))
            if tried[-1][2].files:
                break
        chosen, treated, edit = next((each for each in tried if each[2].files), tried[0])
        own, suggested = _rates(treated, recipe)
    known = replace(
        known,
        chosen=chosen,
        receipts=treated.receipts,
        patch=edit,
        learning_rate=own,
        suggested_rate=suggested,
    )
    return _write(known, reload) if write and edit.files else known


def _candidates(advice: Advice, *, forced: bool) -> list[Option]:
    """Return what may be chosen: those that leave nothing to do, the least change first.

    What source code can say goes before what cannot be said, as a user can read and keep it.
    """
    options = [option for option in advice.options if not option.failed]
    if forced or advice.best is None:
        return options if forced else []
    least = min(advice.best.score, -CURED)
    good = [o for o in options if o.cures and not o.brings and o.score >= least]
    return sorted(good, key=lambda o: not o.can_be_written)[:_MOST_TRIED]


def _rates(treated: Treated, recipe: Recipe) -> tuple[float, float]:
    """Return the learning rate of a treated copy, and the one that a range test suggests."""
    if treated.optimizer is None:
        return math.nan, math.nan
    own = treated.optimizer.param_groups[0].get("lr", math.nan)
    try:
        case = case_of(
            treated.model,
            recipe.batch,
            treated.loss,
            optimizer=treated.optimizer,
            autocast=treated.autocast,
            seed=recipe.seed,
        )
        found = remedy_of("learning-rate-range").assess(case)
    except UnvanishError:
        return float(own), math.nan
    if isinstance(found, NotApplicable):
        return float(own), math.nan
    return float(own), float(found.settings["lr"])


def _write(found: Fix, reload: Callable[[], Recipe]) -> Fix:
    """Write the files, keep their old text beside them, and check the network again."""
    assert found.patch is not None
    written = write_files(found.patch, verb="fix")
    fresh = reload()
    with fresh.running():
        after = diagnose(look_at(fresh))
    return replace(
        found,
        written=written.files,
        backups=written.backups,
        after=after,
        warnings=(*found.warnings, *written.warnings),
    )
