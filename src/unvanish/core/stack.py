"""Find the user's own line on the Python stack: not torch's, not ours, not a library's."""

from __future__ import annotations

import inspect
import json
import os
import sys
import sysconfig
from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import TypeVar

from unvanish.core.places import SourceLine

_PACKAGE = str(Path(__file__).resolve().parent.parent) + os.sep
_ZOO = _PACKAGE + "zoo" + os.sep
_LIBRARIES = tuple(
    {sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
_FRAMEWORK = tuple(
    os.path.join(path, "torch") + os.sep  # noqa: PTH118 (a string prefix, not a file access)
    for path in _LIBRARIES
)


_INSTALLED = tuple(os.sep + name + os.sep for name in ("site-packages", "dist-packages"))

_DECORATORS = frozenset({"decorate_context", "generator_context"})

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
    """Tell whose code a file holds, from its path and how it came there.

    Networks of the zoo count as the user's: they are patients, not instruments. So does a
    package that was installed from a directory (``pip install .``).
    """
    if filename.startswith("<frozen") or filename == "<string>":
        return Owner.FRAMEWORK
    if filename.startswith(_PACKAGE) and not filename.startswith(_ZOO):
        return Owner.OURS
    if filename.startswith(_ZOO):
        return Owner.USER
    if filename.startswith(_FRAMEWORK):
        return Owner.FRAMEWORK
    home, package = _installed(filename)
    if package:
        return Owner.USER if package in _from_a_directory(home) else Owner.LIBRARY
    return Owner.LIBRARY if filename.startswith(_LIBRARIES) else Owner.USER


@lru_cache(maxsize=4096)
def package_of(filename: str) -> str:
    """Return the installed package that a file belongs to, such as ``"transformers"``.

    Returns:
        Its name; empty for the user's own code, for torch, `unvanish` and Python's library.
    """
    return _installed(filename)[1] if owner_of(filename) is Owner.LIBRARY else ""


def _installed(filename: str) -> tuple[str, str]:
    """Split a path at the directory of installed packages; two empty texts for any other."""
    at, part = max((filename.rfind(part), part) for part in _INSTALLED)
    if at < 0:
        return "", ""
    package = filename[at + len(part) :].partition(os.sep)[0]
    return filename[: at + len(part)], package.removesuffix(".py")


@lru_cache(maxsize=64)
def _from_a_directory(home: str) -> frozenset[str]:
    """Name the packages that were installed from a directory, as PEP 610 has it written down."""
    found: set[str] = set()
    for note in Path(home).glob("*.dist-info/direct_url.json"):
        try:
            if "dir_info" not in json.loads(note.read_text("utf-8")):
                continue
            files = note.with_name("RECORD").read_text("utf-8").splitlines()
        except (OSError, ValueError):
            continue
        found.update(file.partition(",")[0].partition("/")[0].removesuffix(".py") for file in files)
    return frozenset(found)


def stands_in(function: _F) -> _F:
    """Mark a function of ours that takes the place of one of torch's while we look.

    The walk to the user's line goes through it, as it would through torch's own.
    """
    if isinstance(function, FunctionType):
        _STAND_INS.add(function.__code__)
    return function


def nearest_line(frame: FrameType | None = None) -> tuple[SourceLine, str] | None:
    """Return the innermost line that is not torch's, Python's or ours, and whose it is.

    A decorator of torch's, such as ``@torch.no_grad()``, belongs to the function it decorates.

    Args:
        frame: Where to begin; the caller's frame if None.

    Returns:
        The line and the installed package it lies in, which is empty for the user's own line;
        None where there is no such line.
    """
    current: FrameType | None = frame if frame is not None else sys._getframe(1)
    entered = False
    while current is not None:
        code, line = current.f_code, current.f_lineno
        owner = owner_of(code.co_filename)
        if owner is Owner.FRAMEWORK and (decorated := _decorated(current)) is not None:
            code, line = decorated, decorated.co_firstlineno
            owner = owner_of(code.co_filename)
        if owner is Owner.OURS:
            if entered and code not in _STAND_INS:
                return None
        else:
            entered = True
            package = package_of(code.co_filename)
            if owner is Owner.USER or package:
                return SourceLine(display_path(code.co_filename), line, code.co_name), package
        current = current.f_back
    return None


def _decorated(frame: FrameType) -> CodeType | None:
    """Return the code of the function that a decorator of torch's calls."""
    if frame.f_code.co_name not in _DECORATORS:
        return None
    function = inspect.unwrap(frame.f_locals["func"]) if "func" in frame.f_locals else None
    return getattr(function, "__code__", None)


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
