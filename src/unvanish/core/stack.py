"""Find the user's own line on the Python stack: not torch's, not ours, not a library's."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import TypeVar

from unvanish.core.records import SourceLine

_PACKAGE = str(Path(__file__).resolve().parent.parent) + os.sep
_ZOO = _PACKAGE + "zoo" + os.sep
_LIBRARIES = tuple(
    {sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
_FRAMEWORK = tuple(
    os.path.join(path, "torch") + os.sep  # noqa: PTH118 (a string prefix, not a file access)
    for path in _LIBRARIES
)


_F = TypeVar("_F", bound=Callable[..., object])
_STAND_INS: set[CodeType] = set()


class Owner(Enum):
    """Who wrote a file that appears on the stack."""

    USER = "user"
    LIBRARY = "library"
    FRAMEWORK = "framework"
    OURS = "ours"


@lru_cache(maxsize=4096)
def owner_of(filename: str) -> Owner:
    """Tell whose code a file holds, from its path alone.

    Networks of the zoo count as the user's: they are patients, not instruments.
    """
    if filename.startswith("<frozen") or filename == "<string>":
        return Owner.FRAMEWORK
    if filename.startswith(_PACKAGE) and not filename.startswith(_ZOO):
        return Owner.OURS
    if filename.startswith(_ZOO):
        return Owner.USER
    if filename.startswith(_FRAMEWORK):
        return Owner.FRAMEWORK
    if filename.startswith(_LIBRARIES) or "site-packages" in filename:
        return Owner.LIBRARY
    return Owner.USER


def stands_in(function: _F) -> _F:
    """Mark a function of ours that takes the place of one of torch's while we look.

    The walk to the user's line goes through it, as it would through torch's own.
    """
    if isinstance(function, FunctionType):
        _STAND_INS.add(function.__code__)
    return function


def display_path(filename: str) -> str:
    """Shorten a path to be relative to the working directory, where it lies below it."""
    here = os.getcwd() + os.sep  # noqa: PTH109 (called once an operation: keep it cheap)
    return filename[len(here) :] if filename.startswith(here) else filename


def user_line(frame: FrameType | None = None, *, building: object = None) -> SourceLine | None:
    """Return the innermost line on the stack that the user wrote.

    A line of a third-party library is returned only where the walk meets no user line
    before it comes back to `unvanish` itself.

    Args:
        frame: Where to begin; the caller's frame if None.
        building: An object under construction; frames whose ``self`` is this object are
            its own ``__init__`` and are skipped, so that the line which called the
            constructor is found.

    Returns:
        The line, or None where only torch and `unvanish` are on the stack.
    """
    current: FrameType | None = frame if frame is not None else sys._getframe(1)
    library: SourceLine | None = None
    entered = False
    while current is not None:
        code = current.f_code
        owner = owner_of(code.co_filename)
        if owner is Owner.OURS:
            if entered and code not in _STAND_INS:
                break
        elif owner is Owner.FRAMEWORK or (
            building is not None and current.f_locals.get("self") is building
        ):
            entered = True
        else:
            entered = True
            line = SourceLine(display_path(code.co_filename), current.f_lineno, code.co_name)
            if owner is Owner.USER:
                return line
            library = library or line
        current = current.f_back
    return library
