"""Write the edit of a cure into the user's files, and look at what they build."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from unvanish.core.cures import IN_PYTHON, Cure
from unvanish.core.errors import UnvanishError
from unvanish.curing.loading import reloaded
from unvanish.show.following import fix_command
from unvanish.treat.looking import look_at
from unvanish.treat.patch.files import write as write_files

C = TypeVar("C", bound=Cure)


def written(cure: C) -> C:
    """Write the edit, keep what the files held beside them, and check the network again.

    A network that was given in Python is not checked again, as only its own script can make it.

    Args:
        cure: What was proven, perhaps loaded from a file.

    Returns:
        The cure, with what was written.

    Raises:
        UnvanishError: If there is no edit that agrees with what was tested, or a file cannot be
            written.
    """
    patch = cure.patch
    if patch is None or not patch.files:
        why = patch.unsafe if patch is not None else "nothing is to be changed"
        raise UnvanishError(f"there is nothing to write: {why}", where=cure.origin.target)
    if cure.proof is None:
        raise UnvanishError(
            "nothing is proven, and so nothing is written",
            where=cure.origin.target,
            help=f"{fix_command(cure)}   writes it all the same",
        )
    done = write_files(patch, verb="cure")
    cure = replace(
        cure,
        written=done.files,
        backups=done.backups,
        warnings=(*cure.warnings, *done.warnings),
    )
    if cure.origin.is_given or cure.origin.data == IN_PYTHON:
        return cure
    with contextlib.chdir(Path.cwd()):  # the network's own code may go elsewhere
        recipe = reloaded(cure.origin)
        with recipe.running():
            after = look_at(recipe)
    return replace(cure, rechecked=after)
