"""The one family of errors `unvanish` raises on bad input.

A sick network is never an error: findings are data. An error says that the tool could
not do its work, in three parts: what happened, where, and the literal call to make.
"""

from __future__ import annotations

import importlib
from types import ModuleType


class UnvanishError(Exception):
    """Root of everything raised on purpose.

    Args:
        what: One sentence, lower case, without a full stop.
        where: File, layer or argument the sentence is about; empty if it has no place.
        help: The literal line to write or command to run; empty if there is none.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: str = "", help: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.help = help

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  --> {self.where}")
        if self.help:
            lines.append(f"  help: {self.help}")
        return "\n".join(lines)


class TargetError(UnvanishError):
    """The target could not be found, imported or understood."""


class BatchError(UnvanishError):
    """The batch, the target or the loss does not fit the model."""


class MissingExtraError(UnvanishError):
    """An optional dependency is not installed."""


class CouldNotMeasureError(UnvanishError):
    """The network ran into something that left nothing to measure."""

    exit_code = 3


def import_optional(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional dependency or say which line installs it.

    Args:
        module: Dotted module name, such as ``"sklearn.datasets"``.
        extra: Name of the extra in ``pyproject.toml`` that brings it.
        purpose: What needs it, as the subject of a sentence (``"the demo data"``).

    Returns:
        The imported module.

    Raises:
        MissingExtraError: If the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtraError(
            f"{purpose} needs the package {error.name!r}, which is not installed",
            help=f"pip install 'unvanish[{extra}]'",
        ) from None
