"""Write a floor under what enters a logarithm, a root or a division."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from unvanish.core.operations import clean
from unvanish.treat.patch.optimisers import spelt
from unvanish.treat.patch.removal import in_brackets
from unvanish.treat.patch.source import NoSafeEditError, Source
from unvanish.treat.patch.work import Work
from unvanish.treat.singularities import SINGULAR

REMEDIES: Final = frozenset({"guard-singularity"})

_WRITTEN: Final = frozenset(name for name, where in SINGULAR.items() if where.low == 0.0) - {
    "logit",
    "xlogy",
}
"""Functions whose argument is kept above zero."""
_DIVISIONS: Final = frozenset({"div", "divide", "true_divide"})


def rewrite(work: Work) -> None:
    """Write ``clamp_min`` behind the argument of every call that was given a floor.

    Raises:
        NoSafeEditError: If the line of a call is not known, or several calls stand in it.
    """
    for edit in work.receipt.edits:
        function, _, floor = edit.after.partition(" of no less than ")
        function = clean(function)
        if not edit.sources:
            raise NoSafeEditError(f"the line of {function} was not seen")
