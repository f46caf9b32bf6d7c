"""The treated network, a look at it, and the edit of the source that gives it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from unvanish.core.patches import Patch
from unvanish.core.stack import display_path
from unvanish.curing.known import Known
from unvanish.observe import trace
from unvanish.treat import Treated, treat
from unvanish.treat.patch import patch as patch_of
from unvanish.treat.patch.writing import safety_of


def treated_copy(known: Known, remedies: Sequence[str]) -> Treated:
    """Treat a copy of the network, as the edit of the source is to do.

    Args:
        known: The network.
        remedies: Names, in the order in which they are applied.
    """
    recipe = known.recipe
    with recipe.running():
        return treat(
            recipe.model,
            list(remedies),
            recipe.batch,
            recipe.loss,
            optimizer=recipe.optimizer,
            recording=known.before,
            built=recipe.built,
            seed=recipe.seed,
        )


def changes_of(known: Known, treated: Treated | None, rate: float) -> dict[str, Any]:
    """Return the fields of a cure that say what is changed.

    Args:
        known: The network.
        treated: The treated copy; None where nothing is to be changed.
        rate: What the learning rates are multiplied by.

    Returns:
        The receipts, the edit of the source, and a look at the treated network.
    """
    if treated is None:
        return {}
    recipe = known.recipe
    with recipe.running():
        edit = _edit(known, treated, rate)
        after = trace(
            treated.model,
            recipe.batch,
            treated.loss,
            optimizer=treated.optimizer,
            data=recipe.further,
            seed=recipe.seed,
            autocast=treated.autocast,
            clip_grad_norm=treated.clip_grad_norm,
        )
    return {"receipts": treated.receipts, "patch": edit, "after": after}


def _edit(known: Known, treated: Treated, rate: float) -> Patch:
    """Return the edit of the source; of files that were edited meanwhile there is none."""
    if said := known.sources.said():
        return Patch(
            remedies=tuple(one.remedy for one in treated.prescriptions),
            safety=safety_of(treated.prescriptions),
            unsafe=said,
        )
    edit = patch_of(treated, known.reloads, optimizer=known.recipe.optimizer, rate_factor=rate)
    files, here = edit.files, Path.cwd()
    with contextlib.chdir(known.folder):  # where a written file is looked for
        named = (replace(one, path=display_path(str(here / one.path))) for one in files)
        return edit if here == known.folder else replace(edit, files=tuple(named))
