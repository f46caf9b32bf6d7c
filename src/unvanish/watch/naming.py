"""How the program that is running calls a model: the name of a variable or an attribute."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final

import torch
from torch import nn

_NOT_THEIRS: Final = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
_FURTHEST: Final = 40
"""Frames that are looked at, from the innermost."""


def name_of(model: nn.Module) -> str:
    """Return what a model is called where it is used, or else the name of its class.

    Args:
        model: The model; a variable that holds a wrapper around it counts, too.

    Returns:
        Such as ``"generator"``, for a local or global variable, or for ``self.generator``.
    """
    for frame in _their_frames():
        for names in (frame.f_locals, frame.f_globals):
            for name, value in list(names.items()):
                if not name.startswith("_") and name != "self" and _is_or_wraps(value, model):
                    return name
        for value in list(frame.f_locals.values()):
            for name, held in _attributes(value):
                if not name.startswith("_") and _is_or_wraps(held, model):
                    return name
    return type(model).__name__


def _their_frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_FURTHEST):
        if frame is None:
            return
        if not frame.f_code.co_filename.startswith(_NOT_THEIRS):
            yield frame
        frame = frame.f_back


def _is_plain(value: Any) -> bool:
    """Tell whether an object's attributes can be looked at without running code of its own."""
    kind = type(value)
    reader: object = kind.__getattribute__
    return not issubclass(kind, type) and reader is object.__getattribute__


def _attributes(value: Any) -> list[tuple[str, Any]]:
    table = getattr(value, "__dict__", None) if _is_plain(value) else None
    if not isinstance(table, dict):
        return []
    return [*table.items(), *(table.get("_modules") or {}).items()]


def _is_or_wraps(value: Any, model: nn.Module) -> bool:
    """Tell whether a value is the model, or a module that only passes calls on to it."""
    for _ in range(3):
        if value is model:
            return True
        held = vars(value).get("_modules", {}) if issubclass(type(value), nn.Module) else {}
        value = held.get("module") if "module" in held else held.get("_orig_mod")
        if value is None:
            return False
    return False
