"""The one family of errors `unvanish` raises on bad input.

A sick network is never an error: findings are data. An error says that the tool could
not do its work, in three parts: what happened, where, and the literal call to make.
"""

from __future__ import annotations

import importlib
import re
from types import ModuleType
from typing import Final

PACKAGES: Final = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dotenv": "python-dotenv",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Modules whose package goes by another name."""

_ASKED: Final = re.compile(r"[Tt]ried to allocate (?P<size>[\d.]+) ?(?P<unit>\w+)")


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


class OwnFaultError(UnvanishError):
    """`unvanish` itself failed; the network and the batch have no part in it."""

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
        name = module.split(".")[0]
        package = PACKAGES.get(name, name)
        raise MissingExtraError(
            f"{purpose} needs the package {error.name!r}, which is not installed",
            help=f"pip install {package}   or, where unvanish came from an index:   "
            f"pip install 'unvanish[{extra}]'",
        ) from None


def memory_asked(message: str) -> str:
    """Read off an allocator's message what it was asked for.

    Args:
        message: Such as ``"... you tried to allocate 360000000000 bytes. Error code 12"``.

    Returns:
        ``"tried to allocate 335.3 GiB"``; empty where the message does not say.
    """
    match = _ASKED.search(message)
    if match is None:
        return ""
    if match["unit"] != "bytes":
        return f"tried to allocate {match['size']} {match['unit']}"
    size = float(match["size"])
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"tried to allocate {size:.4g} {unit}"
        size /= 1024
    return f"tried to allocate {size:.4g} TiB"
