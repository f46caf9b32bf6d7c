"""The whole main job: a sick network in, one that demonstrably trains out.

The names are loaded when they are first used: a saved cure opens without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unvanish.curing.blueprint import rebuilt
    from unvanish.curing.chain import cure
    from unvanish.curing.cured import Cured
    from unvanish.curing.loading import reloaded
    from unvanish.curing.report import load, save

__all__ = ["Cured", "cure", "load", "rebuilt", "reloaded", "save"]

_HOMES = {
    "Cured": "cured",
    "cure": "chain",
    "load": "report",
    "rebuilt": "blueprint",
    "reloaded": "loading",
    "save": "report",
}


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a public name from its home."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
